"""What a principal may do."""

import pytest

from signer.auth.authorize import check_authorized, may_see
from signer.auth.principal import Action, Principal
from signer.errors import ForbiddenError

KEY, OTHER = b"\x01" * 48, b"\x02" * 48
NARROW = Principal(
    "narrow", actions=frozenset({Action.SIGN_DUTY}), keys=frozenset({KEY}), duties=frozenset({"ATTESTATION"})
)
WIDE = Principal("wide")


@pytest.mark.parametrize(
    ("principal", "action", "details", "allowed"),
    [
        (WIDE, Action.SLASHING_WRITE, {}, True),
        (WIDE, Action.SIGN_DUTY, {"public_key": OTHER, "duty_type": "BLOCK_V2"}, True),
        (NARROW, Action.SIGN_DUTY, {"public_key": KEY, "duty_type": "ATTESTATION"}, True),
        (NARROW, Action.SIGN_DUTY, {"public_key": KEY}, True),
        (NARROW, Action.SIGN_DUTY, {"public_key": OTHER, "duty_type": "ATTESTATION"}, False),
        (NARROW, Action.SIGN_DUTY, {"public_key": KEY, "duty_type": "VOLUNTARY_EXIT"}, False),
        (NARROW, Action.KEYS_LIST, {}, False),
        (Principal("nothing", actions=frozenset()), Action.KEYS_LIST, {}, False),
        (Principal("keyless", keys=frozenset()), Action.SIGN_DUTY, {"public_key": KEY}, False),
        (Principal("dutiless", duties=frozenset()), Action.SIGN_DUTY, {"duty_type": "ATTESTATION"}, False),
    ],
)
def test_only_what_was_granted_is_allowed(principal, action, details, allowed):
    if allowed:
        check_authorized(principal, action, **details)
    else:
        with pytest.raises(ForbiddenError) as caught:
            check_authorized(principal, action, **details)
        assert caught.value.evidence["principal"] == principal.name


def test_a_principal_sees_the_keys_it_was_granted_or_all_when_none_are_named():
    assert may_see(NARROW, KEY)
    assert not may_see(NARROW, OTHER)
    assert may_see(WIDE, OTHER)
