"""Who may ask for and set what holds for a key, and which duties are held against it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

import pytest
from operations.policy_twin import policy_check

from signer.auth.irreversible import IrreversibleRule
from signer.auth.principal import OPERATOR, Action, Caller, Principal
from signer.clock import FixedClock
from signer.crypto.bls import SecretKey
from signer.errors import ForbiddenError, MalformedRequestError, NotReadyError, UnknownKeyError
from signer.eth2 import duties
from signer.eth2.block_proofs import BodyProof
from signer.eth2.builtin_networks import find_network
from signer.intent import SignDuty
from signer.keys.key import Key, Origin
from signer.keys.preference_ledger import PreferenceClaim
from signer.keys.preferences import Preferences
from signer.keys.ring import KeyRing
from signer.operations.gate import Gate
from signer.operations.keep_preferences import PreferenceKeeping, parse_preferences
from signer.operations.orders import Carried, SetPreferences
from signer.units import UINT64_MAX, Epoch, PublicKey, Root, Signature, Slot

ONE, OTHER, STRANGER = (PublicKey(bytes([number]) * 48) for number in (1, 2, 3))
OURS, THEIRS = b"\x11" * 20, b"\x22" * 20
ROOT = Root(b"\x07" * 32)
DEFAULTS = Preferences(OURS, 30)
CALLER = Caller(OPERATOR)


class OrdersTwin:
    """Takes every order down."""

    def __init__(self) -> None:
        self.given: list[SetPreferences] = []

    async def carry_out(self, order: SetPreferences, _caller: Caller) -> tuple[Carried, ...]:
        self.given.append(order)
        return tuple(Carried(key, "set") for key in order.keys)


class RowsTwin:
    """One row, whatever is asked."""

    def rows(self, _statement: str, _values: Any = ()) -> list[tuple[Any, ...]]:
        return [(THEIRS, None, b"text")]


@contextmanager
def reading() -> Iterator[Any]:
    yield RowsTwin()


def ring_of(*public_keys: PublicKey, ready: bool = True) -> KeyRing:
    ring = KeyRing()
    secret = SecretKey.from_bytes((5).to_bytes(32, "big"))
    ring.replace([Key(one, secret, Origin.RAW_FILE, None) for one in public_keys], complete=ready)  # type: ignore[arg-type]
    return ring


def keeping(orders: OrdersTwin, *, ready: bool = True) -> PreferenceKeeping:
    return PreferenceKeeping(orders=orders, reading=reading, ring=ring_of(ONE, OTHER, ready=ready), defaults=DEFAULTS)


def caller(*actions: Action, keys: frozenset[bytes] | None = None) -> Caller:
    return Caller(Principal("somebody", actions=frozenset(actions), keys=keys))


async def test_what_is_set_for_the_key_comes_before_the_default() -> None:
    told = await keeping(OrdersTwin()).effective(ONE, CALLER)
    assert told == Preferences(THEIRS, 30, "text")


@pytest.mark.parametrize(
    ("asks", "key", "error"),
    [
        (caller(Action.KEYS_LIST, Action.KEYS_WRITE), ONE, None),
        (caller(Action.KEYS_LIST, Action.KEYS_WRITE, keys=frozenset({ONE})), ONE, None),
        (caller(Action.KEYS_LIST, Action.KEYS_WRITE, keys=frozenset({ONE})), OTHER, UnknownKeyError),
        (caller(Action.KEYS_LIST, Action.KEYS_WRITE), STRANGER, UnknownKeyError),
        (caller(Action.SIGN_DUTY), ONE, ForbiddenError),
        (caller(Action.SIGN_DUTY), STRANGER, ForbiddenError),
    ],
)
async def test_only_who_may_gets_through_and_to_keys_that_are_there(
    asks: Caller, key: PublicKey, error: type[Exception] | None
) -> None:
    orders = OrdersTwin()
    order = SetPreferences((key,), gas_limit=5)
    if error is None:
        assert (await keeping(orders).set(order, asks))[0].status == "set"
        assert (await keeping(orders).own(key, asks)).fee_recipient == THEIRS
    else:
        with pytest.raises(error):
            await keeping(orders).set(order, asks)
        with pytest.raises(error):
            await keeping(orders).own(key, asks)
    assert bool(orders.given) is (error is None)


async def test_nothing_is_set_for_several_keys_of_which_one_is_not_there() -> None:
    orders = OrdersTwin()
    with pytest.raises(UnknownKeyError):
        await keeping(orders).set(SetPreferences((ONE, STRANGER), gas_limit=5), CALLER)
    with pytest.raises(NotReadyError):
        await keeping(orders, ready=False).set(SetPreferences((ONE,), gas_limit=5), CALLER)
    assert orders.given == []


@pytest.mark.parametrize(
    "values",
    [
        {"fee_recipient": "0x" + "00" * 20},
        {"fee_recipient": 5},
        {"gas_limit": "1" * 21},
        {"gas_limit": 0},
        {"gas_limit": True},
        {"graffiti": "\ud800"},
        {"graffiti": 5},
        {"cleared": ["public_key"]},
        {"cleared": ["graffiti"], "graffiti": "text"},
        {},
    ],
)
def test_what_is_no_value_makes_no_order(values: dict[str, Any]) -> None:
    with pytest.raises(MalformedRequestError):
        parse_preferences(["0x" + ONE.hex()], **values)


# --- what is held against it ---------------------------------------------------------------------


VOTE = duties.AttestationDuty(Slot(5), 0, ROOT, Epoch(1), ROOT, Epoch(2), ROOT)
PROOF = BodyProof(801, (bytes(32),), ROOT)
HEADER = duties.BlockDuty(Slot(5), 1, ROOT, ROOT, ROOT)


def envelope(builder_index: int) -> duties.ExecutionPayloadEnvelopeDuty:
    return duties.ExecutionPayloadEnvelopeDuty(ROOT, ROOT, builder_index, ROOT, ROOT, Slot(5), ROOT, ROOT, THEIRS, 7)


def claim(fee_recipient: bytes | None = None, gas_limit: int | None = None, proof: Any = None) -> PreferenceClaim:
    return PreferenceClaim(ONE, fee_recipient, gas_limit, proof, OURS, 30)


def unread() -> NoReturn:
    raise AssertionError("the record was read")


@pytest.mark.parametrize(
    ("duty", "claimed"),
    [
        (duties.ValidatorRegistrationDuty(THEIRS, 7, 100, ONE), claim(THEIRS, 7)),
        (duties.ProposerPreferencesDuty(ROOT, Slot(5), 1, THEIRS, 7), claim(THEIRS, 7)),
        (envelope(UINT64_MAX), claim(THEIRS)),
        (duties.BlockDuty(Slot(5), 1, ROOT, ROOT, ROOT, PROOF), claim(proof=PROOF)),
        (HEADER, None),
        (envelope(5), None),
        (VOTE, None),
        (duties.RandaoRevealDuty(Epoch(1)), None),
        (duties.AggregateAndProofDuty(1, b"\x01", VOTE, Signature(bytes(96)), Signature(bytes(96))), None),
    ],
)
def test_a_duty_is_held_against_what_is_set_only_where_it_names_it(duty: duties.Duty, claimed: Any) -> None:
    network = find_network("mainnet")
    assert network is not None
    ring = ring_of(ONE)
    gate = Gate(
        ring=ring,
        network=network,
        pinned=network.genesis_validators_root,
        clock=FixedClock(1_700_000_000),
        far_future_epochs=None,
        irreversible=IrreversibleRule(allowed=True),
        policy_check=policy_check(unread, network, FixedClock(1_700_000_000)),
        defaults=DEFAULTS,
    )
    passed = gate.decide(SignDuty(ONE, duty, None), CALLER, key=gate.find_key(ONE, CALLER), root=ROOT)
    found = [one for one in passed.claims if isinstance(one, PreferenceClaim)]
    assert found == ([] if claimed is None else [claimed])
