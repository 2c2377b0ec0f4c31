"""Commands over the link: the claims and stories that the record knows, to their rows and back."""

from functools import lru_cache
from typing import Any

from signer.audit.entry import Kind
from signer.auth.principal import Caller, Principal
from signer.errors import SignerError
from signer.eth2.block_proofs import BodyProof
from signer.journal.command import Chronicle, Command, Keepsake
from signer.keys.ledger import KeyUseClaim
from signer.keys.preference_ledger import PreferenceClaim
from signer.operations.story import DutyStory, ExtensionStory, NoteStory
from signer.relay.approval_orders import ApprovalRow
from signer.relay.command_rows import (
    ChainRow,
    ClaimRow,
    CommandRow,
    DutyRow,
    ExtensionRow,
    KeptRow,
    KeyUseRow,
    NoteRow,
    PolicySetRow,
    PreferenceRow,
    ProblemRow,
    ProofRow,
    ProposalRow,
    SpendingRow,
    VoteRow,
)
from signer.relay.policy_claims import policy_claim_of, policy_claim_row
from signer.relay.refusals import error_of, problem_row
from signer.slashing.ledger import AttestationClaim, BlockClaim
from signer.slashing.network import NetworkClaim
from signer.units import Epoch, Slot

_PRINCIPALS_KEPT = 1024
"""Principals whose objects are not made anew for each command."""


def command_row(number: int, command: Command) -> CommandRow:
    """A command as it travels. Raises TypeError for a claim or story that has no row: it never enters a batch."""
    kept = None if (keeps := command.kept) is None else KeptRow(keeps.body, keeps.public_key, keeps.time_ms, keeps.code)
    return CommandRow(number, tuple([_claim_row(claim) for claim in command.claims]), _story_row(command.story), kept)


def command_of(row: CommandRow) -> Command:
    """The command again. Raises ValueError: a number that names no kind of entry."""
    kept = None if (keeps := row.kept) is None else Keepsake(keeps.body, keeps.public_key, keeps.time_ms, keeps.code)
    return Command(tuple([_claim_of(claim) for claim in row.claims]), _story_of(row.story), kept)


def _claim_row(claim: Any) -> ClaimRow:
    match claim:
        case KeyUseClaim():
            return KeyUseRow(claim.public_key, claim.epoch)
        case AttestationClaim():
            return VoteRow(claim.public_key, claim.source_epoch, claim.target_epoch, claim.signing_root)
        case BlockClaim():
            return ProposalRow(claim.public_key, claim.slot, claim.signing_root)
        case NetworkClaim():
            return ChainRow(claim.genesis_validators_root)
        case PreferenceClaim():
            return _preference_row(claim)
        case _:
            return policy_claim_row(claim)


def _claim_of(row: ClaimRow) -> Any:
    match row:
        case KeyUseRow():
            return KeyUseClaim(row.public_key, None if row.epoch is None else Epoch(row.epoch))
        case VoteRow():
            return AttestationClaim(row.public_key, Epoch(row.source_epoch), Epoch(row.target_epoch), row.signing_root)
        case ProposalRow():
            return BlockClaim(row.public_key, Slot(row.slot), row.signing_root)
        case ChainRow():
            return NetworkClaim(row.genesis_validators_root)
        case PreferenceRow():
            return _preference_claim(row)
        case PolicySetRow() | SpendingRow() | ApprovalRow():
            return policy_claim_of(row)


def _preference_row(claim: PreferenceClaim) -> PreferenceRow:
    proof = claim.proof
    return PreferenceRow(
        claim.public_key,
        claim.fee_recipient,
        claim.gas_limit,
        None if proof is None else ProofRow(proof.index, proof.branch, proof.body_root),
        claim.default_fee_recipient,
        claim.default_gas_limit,
    )


def _preference_claim(row: PreferenceRow) -> PreferenceClaim:
    proof = row.proof
    return PreferenceClaim(
        row.public_key,
        row.fee_recipient,
        row.gas_limit,
        None if proof is None else BodyProof(proof.index, proof.branch, proof.body_root),
        row.default_fee_recipient,
        row.default_gas_limit,
    )


def _story_row(story: Chronicle) -> DutyRow | ExtensionRow | NoteRow:
    match story:
        case DutyStory():
            return DutyRow(
                story.caller.principal.name,
                story.caller.request_id,
                story.public_key,
                story.duty,
                story.lower,
                story.upper,
                story.signing_root,
                story.time_ms,
                _problem_row(story.refused_as),
                story.note,
                story.kept,
            )
        case ExtensionStory():
            return ExtensionRow(
                story.caller.principal.name,
                story.caller.request_id,
                story.public_key,
                story.duty,
                story.timestamp,
                story.platform,
                story.digest,
                story.time_ms,
                _problem_row(story.refused_as),
                story.note,
                story.kept,
            )
        case NoteStory():
            return NoteRow(
                story.kind,
                story.time_ms,
                story.note,
                story.principal,
                story.request_id,
                story.public_key,
                story.code,
            )
        case _:
            raise TypeError(f"a {type(story).__name__} cannot be sent to the main process")


def _story_of(row: DutyRow | ExtensionRow | NoteRow) -> Chronicle:
    match row:
        case DutyRow():
            return DutyStory(
                Caller(_principal(row.principal), "", row.request_id),
                row.public_key,
                row.duty,
                row.lower,
                row.upper,
                row.signing_root,
                row.time_ms,
                _error_of(row.refused_as),
                row.note,
                row.kept,
            )
        case ExtensionRow():
            return ExtensionStory(
                Caller(_principal(row.principal), "", row.request_id),
                row.public_key,
                row.duty,
                row.timestamp,
                row.platform,
                row.digest,
                row.time_ms,
                _error_of(row.refused_as),
                row.note,
                row.kept,
            )
        case NoteRow():
            return NoteStory(
                Kind(row.kind), row.time_ms, row.note, row.principal, row.request_id, row.public_key, row.code
            )


def _problem_row(error: SignerError | None) -> ProblemRow | None:
    return None if error is None else problem_row(error)


def _error_of(row: ProblemRow | None) -> SignerError | None:
    return None if row is None else error_of(row)


@lru_cache(_PRINCIPALS_KEPT)
def _principal(name: str) -> Principal:
    """A name for the audit log: what it may do was judged where it asked."""
    return Principal(name, actions=frozenset(), keys=frozenset(), duties=frozenset())
