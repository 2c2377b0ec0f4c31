"""When a duty is for: what the far-future guard compares with the wall clock."""

from msgspec import Struct

from signer.eth2 import duties
from signer.eth2.duties import Duty
from signer.units import Epoch, Slot


class AtSlot(Struct, frozen=True):
    """A duty's slot, and the field it stands in."""

    field: str
    slot: Slot


class AtEpoch(Struct, frozen=True):
    """A duty's epoch, and the field it stands in."""

    field: str
    epoch: Epoch


Moment = AtSlot | AtEpoch


def moments(duty: Duty) -> tuple[Moment, ...]:
    """The slots and epochs of a duty that must not lie far ahead of the clock; empty for duties that have none.

    Deposits, registrations and changes of credentials are signed for any time. Sync committee selection proofs are
    exempt: Lighthouse computes them two epochs ahead, and an early one endangers nothing. An exit is void before its
    epoch (phase0, process_voluntary_exit), and whoever keeps it until then has it carried out when nobody expects it.
    """
    match duty:
        case duties.AttestationDuty():
            return AtEpoch("attestation.target.epoch", duty.target_epoch), AtSlot("attestation.slot", duty.slot)
        case duties.AggregateAndProofDuty(vote=vote):
            return AtEpoch("aggregate.data.target.epoch", vote.target_epoch), AtSlot("aggregate.data.slot", vote.slot)
        case duties.RandaoRevealDuty() | duties.VoluntaryExitDuty():
            return (AtEpoch(f"{duty.type.lower()}.epoch", duty.epoch),)
        case duties.ProposerPreferencesDuty():
            return (AtSlot("proposer_preferences.proposal_slot", duty.proposal_slot),)
        case (
            duties.BlockDuty()
            | duties.AggregationSlotDuty()
            | duties.SyncCommitteeMessageDuty()
            | duties.SyncCommitteeContributionDuty()
            | duties.ExecutionPayloadBidDuty()
            | duties.ExecutionPayloadEnvelopeDuty()
            | duties.PayloadAttestationDuty()
            | duties.BuilderRequestAuthDuty()
            | duties.InclusionListDuty()
        ):
            return (AtSlot("slot", duty.slot),)
        case (
            duties.DepositDuty()
            | duties.ValidatorRegistrationDuty()
            | duties.BlsToExecutionChangeDuty()
            | duties.SyncCommitteeSelectionProofDuty()
        ):
            return ()
