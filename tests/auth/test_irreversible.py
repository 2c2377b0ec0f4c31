"""What nothing takes back is signed for the named client, with the named key, of the named type, or not at all."""

import pytest

from signer.auth.irreversible import IRREVERSIBLE_DUTIES, IrreversibleGrant, IrreversibleRule
from signer.errors import IrreversibleDutyError
from signer.units import PublicKey

KEY, OTHER = PublicKey(b"\x01" * 48), PublicKey(b"\x02" * 48)
GRANT = IrreversibleGrant("VOLUNTARY_EXIT", "operator-desk", frozenset({KEY}))


@pytest.mark.parametrize(
    ("duty", "principal", "key", "signed"),
    [
        ("VOLUNTARY_EXIT", "operator-desk", KEY, True),
        ("VOLUNTARY_EXIT", "operator-desk", OTHER, False),
        ("VOLUNTARY_EXIT", "validator-client", KEY, False),
        ("VOLUNTARY_EXIT", "anonymous", KEY, False),
        ("DEPOSIT", "operator-desk", KEY, False),
        ("BLS_TO_EXECUTION_CHANGE", "operator-desk", KEY, False),
        ("ATTESTATION", "validator-client", OTHER, True),
    ],
)
def test_a_grant_holds_for_its_type_its_client_and_its_key_alone(duty, principal, key, signed) -> None:
    rule = IrreversibleRule(allowed=False, grants=(GRANT,))
    if signed:
        rule.check(duty, principal=principal, public_key=key)
        return
    with pytest.raises(IrreversibleDutyError, match=r"policy\.irreversible_grants") as refused:
        rule.check(duty, principal=principal, public_key=key)
    assert refused.value.evidence["type"] == duty


@pytest.mark.parametrize("duty", sorted(IRREVERSIBLE_DUTIES))
def test_where_no_grant_is_asked_for_everything_passes(duty) -> None:
    IrreversibleRule(allowed=True).check(duty, principal="anonymous", public_key=KEY)
    with pytest.raises(IrreversibleDutyError):
        IrreversibleRule(allowed=False).check(duty, principal="anonymous", public_key=KEY)
