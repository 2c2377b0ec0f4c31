"""A refusal of a duty too far ahead tells its limit in the unit of the field."""

from pathlib import Path
from typing import NoReturn

import pytest
from operations.policy_twin import policy_check

from signer.auth.irreversible import IrreversibleRule
from signer.auth.principal import OPERATOR, Caller
from signer.clock import FixedClock
from signer.crypto import bls
from signer.crypto.bls import SecretKey
from signer.errors import BelowFloorError, FarFutureError
from signer.eth2.builtin_networks import find_network
from signer.eth2.duties import AggregationSlotDuty, RandaoRevealDuty, VoluntaryExitDuty
from signer.intent import SignDuty
from signer.keys.key import Key, Origin
from signer.keys.ring import KeyRing
from signer.operations.gate import Gate
from signer.units import Epoch, PublicKey, Root, Slot

NETWORK = find_network("mainnet")
NOW_EPOCH = 1000
LIMIT_EPOCH = NOW_EPOCH + 1
LIMIT_SLOT = (LIMIT_EPOCH + 1) * 32 - 1
SECRET = SecretKey.from_bytes((1).to_bytes(32, "big"))
KEY = Key(PublicKey(bytes(bls.load().public_key(SECRET))), SECRET, Origin.RAW_FILE, Path("1.yaml"))


def unread() -> NoReturn:
    """Whatever is decided here is decided without the record."""
    raise AssertionError("the record was read")


def decide(duty) -> None:
    clock = FixedClock(NETWORK.genesis_time + NOW_EPOCH * 32 * 12 + 7)
    gate = Gate(
        ring=KeyRing(),
        network=NETWORK,
        pinned=None,
        clock=clock,
        far_future_epochs=1,
        irreversible=IrreversibleRule(allowed=True),
        policy_check=policy_check(unread, NETWORK, clock),
    )
    gate.decide(SignDuty(KEY.public_key, duty, None), Caller(OPERATOR, "test"), key=KEY, root=Root(bytes(32)))


@pytest.mark.parametrize(
    ("duty_of", "field", "limit"),
    [
        (lambda slot: AggregationSlotDuty(Slot(slot)), "slot", LIMIT_SLOT),
        (lambda epoch: RandaoRevealDuty(Epoch(epoch)), "randao_reveal.epoch", LIMIT_EPOCH),
        (lambda epoch: VoluntaryExitDuty(Epoch(epoch), 7), "voluntary_exit.epoch", LIMIT_EPOCH),
    ],
)
def test_the_limit_is_the_largest_value_that_is_signed_in_the_fields_own_unit(duty_of, field, limit):
    decide(duty_of(limit))
    with pytest.raises(FarFutureError) as refused:
        decide(duty_of(limit + 1))
    assert refused.value.evidence == {"field": field, "requested": limit + 1, "limit": limit}


@pytest.mark.parametrize("epoch", [0, 1, NOW_EPOCH - 1, NOW_EPOCH])
def test_an_exit_for_any_epoch_up_to_now_is_signed(epoch):
    decide(VoluntaryExitDuty(Epoch(epoch), 7))


@pytest.mark.parametrize(
    ("field", "words"),
    [("source_epoch", "is below the floor"), ("target_epoch", "is not above"), ("slot", "is not above")],
)
def test_a_floor_is_told_as_it_is_judged(field, words):
    sentence = BelowFloorError(field=field, requested=5, floor=6).sentence
    assert words in sentence
    assert "waits for an import to be completed" in sentence, "it may be that, which a signing client is not told apart"
