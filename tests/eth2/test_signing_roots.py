"""Which domain and which shape a duty is signed under."""

import dataclasses
from typing import get_args

import pytest
from msgspec.structs import replace

from signer.errors import MalformedRequestError
from signer.eth2 import domains, duties, object_roots
from signer.eth2.builtin_networks import find_network
from signer.eth2.domains import ZERO_ROOT, domain
from signer.eth2.duties import Duty
from signer.eth2.forks import Fork, ForkInfo
from signer.eth2.signing_root import aggregate_fork, signing_root
from signer.eth2.ssz import signing_data_root
from signer.eth2.timing import AtEpoch, AtSlot, moments
from signer.units import Version

MAINNET = find_network("mainnet")
ROOT = b"\x11" * 32
OTHER_ROOT = b"\x22" * 32
SIGNATURE = b"\x33" * 96
KEY = b"\x44" * 48
ADDRESS = b"\x55" * 20

DENEB_SLOT = 269568 * 32
ELECTRA_SLOT = 364032 * 32
VOTE = duties.AttestationDuty(
    slot=64, index=1, beacon_block_root=ROOT, source_epoch=1, source_root=ROOT, target_epoch=2, target_root=ROOT
)
AGGREGATE = duties.AggregateAndProofDuty(
    aggregator_index=7,
    aggregation_bits=b"\x01\x01",
    vote=VOTE,
    signature=SIGNATURE,
    selection_proof=SIGNATURE,
    committee_bits=None,
)
BID = duties.ExecutionPayloadBidDuty(
    parent_block_hash=ROOT,
    parent_block_root=ROOT,
    block_hash=ROOT,
    prev_randao=ROOT,
    fee_recipient=ADDRESS,
    gas_limit=1,
    builder_index=2,
    slot=3,
    value_gwei=4,
    execution_payment_gwei=5,
    blob_kzg_commitments=(),
    execution_requests_root=ROOT,
)
ONE_OF_EACH = (
    VOTE,
    duties.BlockDuty(slot=5, proposer_index=1, parent_root=ROOT, state_root=ROOT, body_root=ROOT),
    duties.AggregationSlotDuty(slot=6),
    AGGREGATE,
    duties.RandaoRevealDuty(epoch=7),
    duties.DepositDuty(deposited_key=KEY, withdrawal_credentials=ROOT, amount_gwei=1, genesis_fork_version=b"\0\0\0\1"),
    duties.VoluntaryExitDuty(epoch=8, validator_index=1),
    duties.SyncCommitteeMessageDuty(beacon_block_root=ROOT, slot=9),
    duties.SyncCommitteeSelectionProofDuty(slot=10, subcommittee_index=1),
    duties.SyncCommitteeContributionDuty(
        aggregator_index=1,
        slot=11,
        beacon_block_root=ROOT,
        subcommittee_index=1,
        aggregation_bits=bytes(16),
        signature=SIGNATURE,
        selection_proof=SIGNATURE,
    ),
    duties.ValidatorRegistrationDuty(fee_recipient=ADDRESS, gas_limit=1, timestamp=2, registered_key=KEY),
    duties.BlsToExecutionChangeDuty(validator_index=1, from_bls_key=KEY, to_execution_address=ADDRESS),
    BID,
    duties.ExecutionPayloadEnvelopeDuty(
        payload_root=ROOT,
        execution_requests_root=ROOT,
        builder_index=1,
        beacon_block_root=ROOT,
        parent_beacon_block_root=ROOT,
        slot=12,
        block_hash=ROOT,
        parent_hash=ROOT,
        fee_recipient=ADDRESS,
        gas_limit=1,
    ),
    duties.PayloadAttestationDuty(beacon_block_root=ROOT, slot=13, payload_present=True, blob_data_available=False),
    duties.ProposerPreferencesDuty(
        dependent_root=ROOT, proposal_slot=14, validator_index=1, fee_recipient=ADDRESS, target_gas_limit=1
    ),
    duties.BuilderRequestAuthDuty(data=b"https://builder.example", slot=15),
    duties.InclusionListDuty(slot=16, validator_index=1, committee_root=ROOT, transactions=(b"\1",)),
)


def version(fork):
    return MAINNET.find_version(fork)


def fork_info(previous, current, epoch):
    return ForkInfo(
        previous_version=version(previous),
        current_version=version(current),
        epoch=epoch,
        genesis_validators_root=MAINNET.genesis_validators_root,
    )


def under(domain_type, fork, object_root):
    return signing_data_root(object_root, domain(domain_type, version(fork), MAINNET.genesis_validators_root))


def test_the_examples_are_one_of_each_duty():
    assert [type(duty) for duty in ONE_OF_EACH] == list(get_args(Duty))


@pytest.mark.parametrize("duty", ONE_OF_EACH, ids=lambda duty: duty.type)
def test_every_duty_has_a_root_of_32_bytes_and_an_equal_duty_the_same(duty):
    known = fork_info(Fork.PHASE0, Fork.PHASE0, 0)
    root = signing_root(duty, known, MAINNET)
    assert len(root) == 32
    assert signing_root(replace(duty), known, MAINNET) == root


def test_no_two_duties_share_a_root():
    known = fork_info(Fork.PHASE0, Fork.PHASE0, 0)
    assert len({signing_root(duty, known, MAINNET) for duty in ONE_OF_EACH}) == len(ONE_OF_EACH)


@pytest.mark.parametrize("duty", ONE_OF_EACH, ids=lambda duty: duty.type)
def test_a_missing_fork_info_is_refused_where_the_type_is_bound_to_a_chain(duty):
    unbound = (
        duties.DepositDuty,
        duties.ValidatorRegistrationDuty,
        duties.BuilderRequestAuthDuty,
        duties.InclusionListDuty,
    )
    if isinstance(duty, unbound):
        assert signing_root(duty, None, MAINNET)
        return
    with pytest.raises(MalformedRequestError, match="fork_info is missing"):
        signing_root(duty, None, MAINNET)


def test_an_inclusion_list_without_fork_info_is_signed_under_the_networks_own():
    (inclusion_list,) = (duty for duty in ONE_OF_EACH if isinstance(duty, duties.InclusionListDuty))
    known = fork_info(Fork.PHASE0, Fork.PHASE0, 0)
    assert signing_root(inclusion_list, None, MAINNET) == signing_root(inclusion_list, known, MAINNET)
    unpinned = dataclasses.replace(MAINNET, genesis_validators_root=None)
    with pytest.raises(MalformedRequestError, match="fork_info is missing"):
        signing_root(inclusion_list, None, unpinned)


@pytest.mark.parametrize(("target_epoch", "fork"), [(9, Fork.PHASE0), (10, Fork.ALTAIR), (11, Fork.ALTAIR)])
def test_a_vote_is_under_the_version_of_its_target(target_epoch, fork):
    vote = replace(VOTE, slot=9999, target_epoch=target_epoch)
    expected = under(domains.BEACON_ATTESTER, fork, object_roots.attestation_data_root(vote))
    assert signing_root(vote, fork_info(Fork.PHASE0, Fork.ALTAIR, 10), MAINNET) == expected


@pytest.mark.parametrize(("slot", "fork"), [(10 * 32 - 1, Fork.PHASE0), (10 * 32, Fork.ALTAIR)])
def test_a_block_is_under_the_version_of_its_slots_epoch(slot, fork):
    block = duties.BlockDuty(slot=slot, proposer_index=1, parent_root=ROOT, state_root=ROOT, body_root=ROOT)
    expected = under(domains.BEACON_PROPOSER, fork, object_roots.block_header_root(block))
    assert signing_root(block, fork_info(Fork.PHASE0, Fork.ALTAIR, 10), MAINNET) == expected


# --- exits (EIP-7044) -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("epoch", "previous", "current", "fork_epoch", "signed_under"),
    [
        (200000, Fork.BELLATRIX, Fork.CAPELLA, 194048, Fork.CAPELLA),
        (150000, Fork.ALTAIR, Fork.BELLATRIX, 144896, Fork.BELLATRIX),
        (269568, Fork.CAPELLA, Fork.DENEB, 269568, Fork.CAPELLA),
        (269567, Fork.CAPELLA, Fork.DENEB, 269568, Fork.CAPELLA),
        (400000, Fork.DENEB, Fork.ELECTRA, 364032, Fork.CAPELLA),
        (400000, Fork.BELLATRIX, Fork.CAPELLA, 194048, Fork.CAPELLA),  # what Lodestar sends after Deneb
        (100000, Fork.DENEB, Fork.ELECTRA, 364032, Fork.CAPELLA),  # an old epoch, and the chain long past Deneb
        (400000, Fork.ELECTRA, Fork.FULU, 400000, Fork.CAPELLA),
    ],
)
def test_an_exit_is_under_capella_once_the_chain_is_past_deneb(epoch, previous, current, fork_epoch, signed_under):
    leave = duties.VoluntaryExitDuty(epoch=epoch, validator_index=1)
    expected = under(domains.VOLUNTARY_EXIT, signed_under, object_roots.voluntary_exit_root(leave))
    assert signing_root(leave, fork_info(previous, current, fork_epoch), MAINNET) == expected


def test_an_exit_is_under_capella_even_where_the_schedule_has_not_heard_of_denebs_date():
    minimal = find_network("minimal")
    deneb = minimal.find_version(Fork.DENEB)
    known = ForkInfo(minimal.find_version(Fork.CAPELLA), deneb, epoch=4, genesis_validators_root=ROOT)
    leave = duties.VoluntaryExitDuty(epoch=5, validator_index=1)
    exit_domain = domain(domains.VOLUNTARY_EXIT, minimal.find_version(Fork.CAPELLA), ROOT)
    expected = signing_data_root(object_roots.voluntary_exit_root(leave), exit_domain)
    assert signing_root(leave, known, minimal) == expected


# --- duties before any chain -----------------------------------------------------------------------------


def test_a_registration_ignores_fork_info_and_uses_the_networks_genesis_version():
    (registration,) = (duty for duty in ONE_OF_EACH if isinstance(duty, duties.ValidatorRegistrationDuty))
    hoodi = find_network("hoodi")
    builder_domain = domain(domains.APPLICATION_BUILDER, Version(bytes.fromhex("10000910")), ZERO_ROOT)
    expected = signing_data_root(object_roots.validator_registration_root(registration), builder_domain)
    assert signing_root(registration, None, hoodi) == expected
    assert signing_root(registration, fork_info(Fork.DENEB, Fork.ELECTRA, 1), hoodi) == expected


def test_a_change_of_credentials_is_under_the_genesis_version_of_its_chain():
    (change,) = (duty for duty in ONE_OF_EACH if isinstance(duty, duties.BlsToExecutionChangeDuty))
    expected = under(domains.BLS_TO_EXECUTION_CHANGE, Fork.PHASE0, object_roots.bls_to_execution_change_root(change))
    assert signing_root(change, fork_info(Fork.ELECTRA, Fork.FULU, 5), MAINNET) == expected


# --- the shape of an aggregate ----------------------------------------------------------------------------

UNKNOWN = Version(b"\xaa\xbb\xcc\xdd")
BITS = b"\1" + bytes(7)


@pytest.mark.parametrize(
    ("slot", "current", "committee_bits", "declared", "fork"),
    [
        # schedule and version agree
        (DENEB_SLOT, Fork.DENEB, None, None, Fork.DENEB),
        (ELECTRA_SLOT, Fork.ELECTRA, BITS, None, Fork.ELECTRA),
        # before Electra committee_bits is an unknown member like any other
        (DENEB_SLOT, Fork.DENEB, BITS, Fork.ELECTRA, Fork.DENEB),
        # a schedule that lags behind: the version knows
        (DENEB_SLOT, Fork.ELECTRA, BITS, None, Fork.ELECTRA),
        (ELECTRA_SLOT, Fork.GLOAS, BITS, None, Fork.GLOAS),
        # a version that lags behind: the schedule knows
        (ELECTRA_SLOT, Fork.DENEB, BITS, None, Fork.ELECTRA),
        # a version the schedule has never heard of: the request is the witness
        (DENEB_SLOT, None, BITS, None, Fork.ELECTRA),
        (DENEB_SLOT, None, None, None, Fork.DENEB),
        (ELECTRA_SLOT, None, BITS, Fork.GLOAS, Fork.GLOAS),
        # a declared version is not believed against a known one
        (ELECTRA_SLOT, Fork.ELECTRA, BITS, Fork.GLOAS, Fork.ELECTRA),
        (ELECTRA_SLOT, Fork.ELECTRA, BITS, Fork.PHASE0, Fork.ELECTRA),
    ],
)
def test_an_aggregates_shape_is_chosen_by_schedule_and_version_together(slot, current, committee_bits, declared, fork):
    aggregate = replace(
        AGGREGATE,
        vote=replace(VOTE, slot=slot),
        committee_bits=committee_bits,
        declared_fork=declared,
    )
    current_version = UNKNOWN if current is None else version(current)
    known = ForkInfo(current_version, current_version, 0, MAINNET.genesis_validators_root)
    assert aggregate_fork(aggregate, known, MAINNET) is fork


@pytest.mark.parametrize(
    ("slot", "current"), [(ELECTRA_SLOT, Fork.ELECTRA), (ELECTRA_SLOT, Fork.DENEB), (DENEB_SLOT, Fork.ELECTRA)]
)
def test_an_aggregate_of_electra_without_committee_bits_is_refused(slot, current):
    aggregate = replace(AGGREGATE, vote=replace(VOTE, slot=slot))
    with pytest.raises(MalformedRequestError, match="committee_bits is missing"):
        signing_root(aggregate, fork_info(current, current, 0), MAINNET)


def test_committee_bits_change_nothing_before_electra():
    known = fork_info(Fork.DENEB, Fork.DENEB, 0)
    aggregate = replace(AGGREGATE, vote=replace(VOTE, slot=DENEB_SLOT))
    with_bits = replace(aggregate, committee_bits=b"\1\2\3")
    assert signing_root(with_bits, known, MAINNET) == signing_root(aggregate, known, MAINNET)


@pytest.mark.parametrize(
    ("aggregation_bits", "committee_bits", "slot", "sentence"),
    [
        (bytes(256) + b"\2", None, DENEB_SLOT, "at most 2048"),
        (bytes(16384) + b"\2", BITS, ELECTRA_SLOT, "at most 131072"),
        (b"\1", bytes(7), ELECTRA_SLOT, "vector of 64 bits"),
        (b"\1", bytes(9), ELECTRA_SLOT, "vector of 64 bits"),
    ],
)
def test_bits_that_do_not_fit_the_type_are_refused(aggregation_bits, committee_bits, slot, sentence):
    aggregate = replace(
        AGGREGATE,
        aggregation_bits=aggregation_bits,
        committee_bits=committee_bits,
        vote=replace(VOTE, slot=slot),
    )
    fork = MAINNET.fork_at(slot // 32)
    with pytest.raises(MalformedRequestError, match=sentence):
        signing_root(aggregate, fork_info(fork, fork, 0), MAINNET)


def test_bits_beyond_the_size_in_the_last_byte_are_refused():
    minimal = find_network("minimal")
    electra = minimal.find_version(Fork.ELECTRA)
    known = ForkInfo(electra, electra, 0, ROOT)
    assert signing_root(replace(AGGREGATE, committee_bits=b"\x0f"), known, minimal)
    with pytest.raises(MalformedRequestError, match="vector of 4 bits"):
        signing_root(replace(AGGREGATE, committee_bits=b"\x1f"), known, minimal)


def test_a_contribution_of_another_preset_is_refused():
    (contribution,) = (duty for duty in ONE_OF_EACH if isinstance(duty, duties.SyncCommitteeContributionDuty))
    known = fork_info(Fork.PHASE0, Fork.ALTAIR, 0)
    with pytest.raises(MalformedRequestError, match="is the signer on your network"):
        signing_root(contribution, known, find_network("minimal"))


def test_a_request_auth_with_too_much_data_is_refused():
    with pytest.raises(MalformedRequestError, match="at most 4096"):
        signing_root(duties.BuilderRequestAuthDuty(data=bytes(4097), slot=1), None, MAINNET)


def test_a_bid_of_heze_without_its_bits_is_refused():
    heze = dataclasses.replace(MAINNET, schedule=(*MAINNET.schedule[:8], (Fork.HEZE, version(Fork.HEZE), 0)))
    known = fork_info(Fork.HEZE, Fork.HEZE, 0)
    with pytest.raises(MalformedRequestError, match="inclusion_list_bits is missing"):
        signing_root(BID, known, heze)
    with pytest.raises(MalformedRequestError, match="vector of 16 bits"):
        signing_root(replace(BID, inclusion_list_bits=b"\1"), known, heze)
    assert signing_root(replace(BID, inclusion_list_bits=b"\1\0"), known, heze)


# --- when a duty is for ---------------------------------------------------------------------------------------


def test_every_duty_names_its_moments_or_is_exempt():
    assert {duty.type: moments(duty) for duty in ONE_OF_EACH} == {
        "ATTESTATION": (AtEpoch("attestation.target.epoch", 2), AtSlot("attestation.slot", 64)),
        "BLOCK_V2": (AtSlot("slot", 5),),
        "AGGREGATION_SLOT": (AtSlot("slot", 6),),
        "AGGREGATE_AND_PROOF": (AtEpoch("aggregate.data.target.epoch", 2), AtSlot("aggregate.data.slot", 64)),
        "RANDAO_REVEAL": (AtEpoch("randao_reveal.epoch", 7),),
        "DEPOSIT": (),
        "VOLUNTARY_EXIT": (AtEpoch("voluntary_exit.epoch", 8),),
        "SYNC_COMMITTEE_MESSAGE": (AtSlot("slot", 9),),
        "SYNC_COMMITTEE_SELECTION_PROOF": (),
        "SYNC_COMMITTEE_CONTRIBUTION_AND_PROOF": (AtSlot("slot", 11),),
        "VALIDATOR_REGISTRATION": (),
        "BLS_TO_EXECUTION_CHANGE": (),
        "EXECUTION_PAYLOAD_BID": (AtSlot("slot", 3),),
        "EXECUTION_PAYLOAD_ENVELOPE": (AtSlot("slot", 12),),
        "PAYLOAD_ATTESTATION_MESSAGE": (AtSlot("slot", 13),),
        "PROPOSER_PREFERENCES": (AtSlot("proposer_preferences.proposal_slot", 14),),
        "BUILDER_REQUEST_AUTH": (AtSlot("slot", 15),),
        "INCLUSION_LIST": (AtSlot("slot", 16),),
    }
