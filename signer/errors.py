"""Every error of the signer, drawn once.

    SignerError                    has a stable `code`, a sentence, and the values that caused it
    |- RequestError                the caller's message is at fault
    |  |- MalformedRequestError    a body, an identifier or a field that cannot be read
    |  |  '- UnusableHistoriesError   some histories of an EIP-3076 document
    |  |- UnknownDutyError         a `type` we do not know
    |  |- SigningRootMismatchError the caller's root is not the root of the caller's object
    |  |- ReceiptError            a migration receipt that cannot be taken
    |  |  '- ReceiptUsedError     or not once more
    |  |- BodyTooLargeError
    |  |- ValidatorIndexNeededError, NetworkUnknownError   what an exit lacks
    |  |- PolicyModuleError        a policy's WebAssembly module that is not taken: one class per reason
    |  |- PolicyPackError          a policy's pack that cannot be read, or that holds no policy
    |  |- PolicySignatureError     a pack that nobody has signed whose signature is asked for
    |  |- PolicyNotActiveError     a policy is asked of which no version decides
    |  |- StatementError           what an approver has signed is not what is to be signed
    |  |- WrongRequestError        an approver means another request than this one
    |  '- BadWatermarkError       a watermark that would stop the keys for good, or for nothing
    |- AuthenticationError         nobody we know asks
    |- ForbiddenError              somebody we know asks for what they may not do
    |  |- NotAnApproverError       whose word does not count for this request
    |  '- WrongTokenError          a proof was shown, and nobody has it
    |- NothingSetError             a value that is neither set for a key nor by default
    |- UnknownKeyError             no such key, or none this caller may see
    |- UnknownApprovalError        no such request for approval, or none this caller may see
    |- ApprovalClosedError         a request that has ended: nothing is decided about it any more
    |- ElsewhereError              what another signer of the same database has sealed
    |- UnknownPolicyError          no such policy, version or revision on record
    |- PolicyOrderError            an order about policies that their present state does not let be carried out
    |  '- PolicyRevisionError      or that was made for another state
    |- RefusalError                the duty is understood and will not be signed
    |  |- SlashingError            EIP-3076: one class per condition, holding both votes
    |  |- WrongNetworkError        another chain's genesis_validators_root
    |  |- FarFutureError           further ahead of the clock than the guard allows
    |  |- KeyStateError            the key is frozen, disabled, deleted or in quarantine: one class each
    |  '- PolicyRefusalError
    |     |- IrreversibleDutyError    not granted
    |     |- OtherFeeRecipientError, OtherGasLimitError   not those that are set for the key
    |     |- CounterLimitError, CounterChangedError   what a policy's verdict rests on does not hold in the commit
    |     |- PolicyChangedError        nor do the policies that were asked
    |     |- PolicyDeniedError         a policy says no, under a code of its own
    |     |- ApprovalRequiredError     policies ask people first
    |     |- ApprovalDeniedError       somebody of them said no
    |     |- ApprovalChangedError      in the commit an approval is not what the gate has found
    |     '- UnapprovableError, TooManyApprovalsError   nobody could approve it, or too much waits already
    |- BusyError                   one at a time, and one is running
    |- NotReadyError               the first load of keys has not ended
    |- UnavailableError            we do not know, so we do not sign
    |  |- JournalDownError         the journal does not take commands
    |  |  '- DatabaseDownError     the shared database does not serve
    |  |- OutcomeUnknownError      a commit may or may not have happened
    |  |- DeadlineError            the answer would have come too late to be of use
    |  |- PoliciesUnreadableError  the policies on record are none that could be asked
    |  '- NoRoomError              too many large bodies are on their way
    |- StartupError                a state in which the signer will not start; says what to do
    |- ConfigError                 file, line, key, remedy
    |- KeyFileError                one key file that cannot be loaded
    |- KeyFormatError              what should be a key or a keystore is none
    |- UnreadableFileError         a file that cannot be read as what it should be
    |- PolicyBuildError            a policy's source that does not become a module
    |  '- PolicyToolMissingError   its compiler is not installed
    |- PolicyCasesError            a policy that does not do what its own cases expect
    |- ShutDownError               the signer is stopping and gave this work up
    |- SecretSourceError           a password that cannot be had from where it should come
    |- SealError                   sealed bytes that do not open
    |- UnreachableError            a server that a command should ask and that cannot be reached
    '- AnsweredError               what a server answered a command instead of the result

Rule 1: the sentence says what was wrong and what would be right; it never holds a secret.
Rule 2: nothing here knows HTTP; `api/problems.py` gives each class its status.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import ClassVar, Protocol

from signer.counted import counted
from signer.units import Root

Evidence = Mapping[str, str | int | None]
"""What a refusal shows for itself: names of the field's standard terms, values as text or numbers."""


BEGIN_OR_PUT_BACK = (
    "for a new signer run `holdfast init`; if this one has signed before, its record is lost or its disk is not"
    " mounted: put it back, or see `holdfast slashing accept-restore --help`"
)
"""The advice wherever that is missing which `init` makes: an empty record for a signer that has signed is dangerous."""


class SignerError(Exception):
    """An error with a stable code, a sentence for people and evidence for programs."""

    code: ClassVar[str] = "SIGNER_ERROR"

    def __init__(self, sentence: str, *, evidence: Evidence | None = None) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.evidence: Evidence = evidence or {}


# --- the caller's message -------------------------------------------------------------------


class RequestError(SignerError):
    """The caller's message is at fault."""

    code = "BAD_REQUEST"


class MalformedRequestError(RequestError):
    """A body, an identifier or a field that cannot be read; `path` is the JSON path of the fault."""

    code = "MALFORMED_REQUEST"

    def __init__(self, sentence: str, *, path: str | None = None) -> None:
        super().__init__(sentence, evidence={"path": path} if path else None)


class UnusableHistoriesError(MalformedRequestError):
    """An EIP-3076 document of which some validators' histories cannot be used. Nothing of it was imported."""

    code = "UNUSABLE_HISTORIES"

    def __init__(self, first: str, *, path: str, unusable: int, usable: int) -> None:
        super().__init__(
            f"{unusable} of the document's histories cannot be used, so nothing was imported; the first: {first}",
            path=path,
        )
        self.evidence = {
            **self.evidence,
            "unusable": unusable,
            "usable": usable,
            "remedy": "have the document exported again; or accept the other validators alone (--partial), and keep"
            " these from signing until their history is here",
        }


class UnknownDutyError(RequestError):
    """A `type` we do not know."""

    code = "UNKNOWN_TYPE"


class SigningRootMismatchError(RequestError):
    """The caller's root is not the root of the caller's object: we sign only what we computed."""

    code = "SIGNING_ROOT_MISMATCH"

    def __init__(self, *, claimed: Root, computed: Root) -> None:
        super().__init__(
            "signing_root is not the root of the object in this request; leave it out or send the computed one",
            evidence={"claimed_signing_root": _hex(claimed), "computed_signing_root": _hex(computed)},
        )
        self.claimed = claimed
        self.computed = computed


class ReceiptError(RequestError):
    """A migration receipt, or the history beside it, that is not what it should be. Nothing was changed."""

    code = "BAD_RECEIPT"


class ReceiptUsedError(ReceiptError):
    """A receipt of a move that this signer knows already, or one that a later move has overtaken."""

    code = "RECEIPT_USED"

    def __init__(self, identifier: str, *, moves: int, known: int) -> None:
        super().__init__(
            f"this receipt is of move {moves} of {identifier}, and this signer knows of move {known} already: it was"
            " used here, written here, or overtaken by a later one; have the signer that holds the key now write"
            " another (holdfast migrate out)",
            evidence={"identifier": identifier, "moves": moves, "known_moves": known},
        )


class BodyTooLargeError(RequestError):
    """More bytes than this route takes."""

    code = "BODY_TOO_LARGE"


class StatementError(RequestError):
    """What an approver has signed cannot be read, does not verify, or is about something else."""

    code = "BAD_STATEMENT"


class WrongRequestError(RequestError):
    """An approver names another request hash than the request has: they have looked at something else."""

    code = "OTHER_REQUEST"

    def __init__(self, approval_id: str) -> None:
        super().__init__(
            "the request hash is not that of this request; look at it again before you decide",
            evidence={"approval": approval_id},
        )


class BadWatermarkError(RequestError):
    """A watermark that would stop the keys for good, or for nothing."""

    code = "BAD_WATERMARK"


class ValidatorIndexNeededError(RequestError):
    """An exit without its validator's index: a signer has no chain to look it up in."""

    code = "VALIDATOR_INDEX_NEEDED"

    def __init__(self, identifier: str) -> None:
        remedy = (
            "add validator_index to the query; a beacon node tells it under"
            f" /eth/v1/beacon/states/head/validators/{identifier}"
        )
        super().__init__(
            f"a signer follows no chain and cannot know this validator's index; {remedy}",
            evidence={"identifier": identifier, "remedy": remedy},
        )


class NetworkUnknownError(RequestError):
    """Something is to be made for a chain, and which one it is has never been said."""

    code = "NETWORK_UNKNOWN"

    def __init__(self, sentence: str = "it is not known yet for which chain this signer signs") -> None:
        remedy = "set network.genesis_validators_root"
        super().__init__(f"{sentence}; {remedy}", evidence={"remedy": remedy})


class PolicyModuleError(RequestError):
    """A policy's WebAssembly module that is not taken."""

    code = "POLICY_MODULE_REFUSED"


class PolicyModuleTooLargeError(PolicyModuleError):
    """A module of more bytes, exports, memory or table than any policy may have."""

    code = "POLICY_MODULE_TOO_LARGE"

    def __init__(self, sentence: str, *, is_count: int, limit: int) -> None:
        super().__init__(sentence, evidence={"is": is_count, "limit": limit})


class PolicyModuleInvalidError(PolicyModuleError):
    """No WebAssembly, or with features that stay off here."""

    code = "POLICY_MODULE_INVALID"


class PolicyImportError(PolicyModuleError):
    """The module asks for something that no policy is given."""

    code = "POLICY_UNKNOWN_IMPORT"

    def __init__(self, sentence: str, *, imported: str) -> None:
        super().__init__(sentence, evidence={"import": imported})


class PolicyImportNotGrantedError(PolicyImportError):
    """The module asks for something that its manifest does not grant."""

    code = "POLICY_IMPORT_NOT_GRANTED"


class PolicyExportError(PolicyModuleError):
    """The module does not offer what a policy must, or not in that shape."""

    code = "POLICY_MISSING_EXPORT"

    def __init__(self, sentence: str, *, export: str) -> None:
        super().__init__(sentence, evidence={"export": export})


class PolicyPackError(RequestError):
    """Bytes that should be the pack of a policy and are none."""

    code = "POLICY_BAD_PACK"


class PolicyNotActiveError(RequestError):
    """A policy is asked about facts, and no version of it was ever activated."""

    code = "POLICY_NOT_ACTIVE"

    def __init__(self, policy: str, *, staged: str) -> None:
        waits = f"version {staged} is staged" if staged else "nor is one staged"
        remedy = f"activate it: holdfast policy activate {policy}" if staged else "publish a version, and activate it"
        super().__init__(
            f"policy {policy} has no active version that could be asked; {waits}. To have it asked, {remedy}",
            evidence={"policy": policy, "staged": staged or None, "remedy": remedy},
        )


class PolicySignatureError(RequestError):
    """A pack of a policy that is not signed by whom it should be."""

    code = "POLICY_BAD_SIGNATURE"


# --- who asks, and may they ------------------------------------------------------------------


class AuthenticationError(SignerError):
    """Nobody we know asks: a credential is missing or wrong."""

    code = "UNAUTHENTICATED"


class ForbiddenError(SignerError):
    """Somebody we know asks for what they may not do."""

    code = "FORBIDDEN"


class NotAnApproverError(ForbiddenError):
    """Somebody whose word does not count for this request has decided about it."""

    code = "NOT_AN_APPROVER"

    def __init__(self, principal: str, *, reason: str) -> None:
        super().__init__(f"principal {principal} cannot decide about this: {reason}", evidence={"principal": principal})


class WrongTokenError(ForbiddenError):
    """The key manager API was shown a proof that nobody has here; its specification tells that from showing none."""

    code = "WRONG_TOKEN"


class NothingSetError(SignerError):
    """A value is asked for that is set neither for this key nor by default."""

    code = "NOTHING_SET"

    def __init__(self, identifier: str, *, field: str, setting: str) -> None:
        super().__init__(
            f"no {field} is set for this key, nor a default ({setting}): none is refused",
            evidence={"identifier": identifier, "field": field, "setting": setting},
        )


class UnknownKeyError(SignerError):
    """No such key is loaded, or none that this caller may see: the same answer for both."""

    code = "UNKNOWN_KEY"

    def __init__(self, identifier: str) -> None:
        super().__init__("no key with this identifier is loaded", evidence={"identifier": identifier})


class UnknownApprovalError(SignerError):
    """No such request for approval: never opened, removed, or not this caller's to see."""

    code = "UNKNOWN_APPROVAL"

    def __init__(self, approval_id: str) -> None:
        super().__init__("no such approval is on record", evidence={"approval": approval_id})


class ApprovalClosedError(SignerError):
    """A request that has ended, or whose time is over: nothing is decided about it any more."""

    code = "APPROVAL_CLOSED"

    def __init__(self, approval_id: str, *, state: str, reason: str = "") -> None:
        because = f": {reason}" if reason else ""
        super().__init__(
            f"nothing is decided about this request any more: it is {state}{because}",
            evidence={"approval": approval_id, "state": state},
        )


class ElsewhereError(SignerError):
    """A request that waits was sealed by another signer of the same database, which alone can open it."""

    code = "SEALED_ELSEWHERE"

    def __init__(self, approval_id: str) -> None:
        super().__init__(
            "this signer cannot open the request: another signer of this database has taken it; ask that one, or send"
            " the same request here again",
            evidence={"approval": approval_id},
        )


class UnknownPolicyError(SignerError):
    """No such policy, version or revision is on record."""

    code = "UNKNOWN_POLICY"


class PolicyOrderError(SignerError):
    """An operator's order about policies that their present state does not let be carried out; nothing was changed."""

    code = "POLICY_ORDER_REFUSED"


class PolicyRevisionError(PolicyOrderError):
    """The order was made for another revision of the policies than the one that holds; nothing was changed."""

    code = "POLICY_REVISION_MOVED"

    def __init__(self, *, wanted: int, holds: int) -> None:
        super().__init__(
            f"the order was made for revision {wanted} of the policies, and revision {holds} holds: somebody has"
            " changed them meanwhile. Look at what holds now, and order again",
            evidence={"if_revision": wanted, "revision": holds},
        )


# --- refusals ---------------------------------------------------------------------------------


class RefusalError(SignerError):
    """The duty is understood and will not be signed."""

    code = "REFUSED"


class SlashingError(RefusalError):
    """Signing could be slashed (EIP-3076)."""

    code = "SLASHABLE"


class SourceAfterTargetError(SlashingError):
    """A vote whose source is after its target: no valid chain has one."""

    code = "SOURCE_AFTER_TARGET"

    def __init__(self, *, source_epoch: int, target_epoch: int) -> None:
        super().__init__(
            f"source_epoch {source_epoch} is after target_epoch {target_epoch}",
            evidence={"source_epoch": source_epoch, "target_epoch": target_epoch},
        )


class RecordedVote(Protocol):
    """A vote as `slashing/rules.py` remembers it."""

    @property
    def source_epoch(self) -> int: ...  # noqa: D102 - the field's standard term

    @property
    def target_epoch(self) -> int: ...  # noqa: D102 - the field's standard term

    @property
    def signing_root(self) -> bytes | None: ...  # noqa: D102 - the field's standard term


class RecordedProposal(Protocol):
    """A proposal as `slashing/rules.py` remembers it."""

    @property
    def slot(self) -> int: ...  # noqa: D102 - the field's standard term

    @property
    def signing_root(self) -> bytes | None: ...  # noqa: D102 - the field's standard term


class _VotePairError(SlashingError):
    """Two votes that must not both be signed; holds both."""

    relation: ClassVar[str]

    def __init__(self, *, vote: RecordedVote, recorded: RecordedVote) -> None:
        super().__init__(
            f"the vote {vote.source_epoch}->{vote.target_epoch} {self.relation}"
            f" {recorded.source_epoch}->{recorded.target_epoch}",
            evidence={
                "source_epoch": vote.source_epoch,
                "target_epoch": vote.target_epoch,
                "signing_root": _hex_or_none(vote.signing_root),
                "recorded_source_epoch": recorded.source_epoch,
                "recorded_target_epoch": recorded.target_epoch,
                "recorded_signing_root": _hex_or_none(recorded.signing_root),
            },
        )
        self.vote = vote
        self.recorded = recorded


class DoubleVoteError(_VotePairError):
    """Another vote with the same target is on record (EIP-3076, condition 3)."""

    code = "DOUBLE_VOTE"
    relation = "has the same target as the recorded, different vote"


class SurroundedVoteError(_VotePairError):
    """A recorded vote surrounds this one (EIP-3076, condition 3)."""

    code = "SURROUNDED_VOTE"
    relation = "is surrounded by the recorded vote"


class SurroundingVoteError(_VotePairError):
    """This vote surrounds a recorded one (EIP-3076, condition 3)."""

    code = "SURROUNDING_VOTE"
    relation = "surrounds the recorded vote"


class DoubleProposalError(SlashingError):
    """Another block for the same slot is on record (EIP-3076, condition 1)."""

    code = "DOUBLE_PROPOSAL"

    def __init__(self, *, proposal: RecordedProposal, recorded: RecordedProposal) -> None:
        super().__init__(
            f"a different block for slot {proposal.slot} is on record",
            evidence={
                "slot": proposal.slot,
                "signing_root": _hex_or_none(proposal.signing_root),
                "recorded_signing_root": _hex_or_none(recorded.signing_root),
            },
        )
        self.proposal = proposal
        self.recorded = recorded


class BelowFloorError(SlashingError):
    """Below the least record that is kept, or at it (EIP-3076, conditions 2, 4 and 5).

    A source may equal its floor; a target or a slot may not.
    """

    code = "BELOW_FLOOR"

    def __init__(self, *, field: str, requested: int, floor: int) -> None:
        relation = "below" if field == "source_epoch" else "not above"
        super().__init__(
            f"{field} {requested} is {relation} the floor {floor}: history up to there was pruned, never known here,"
            " or waits for an import to be completed (`holdfast slashing explain` tells)",
            evidence={"field": field, "requested": requested, "floor": floor},
        )


class HighWatermarkError(SlashingError):
    """At or above the high watermark that an operator set for a planned stop."""

    code = "HIGH_WATERMARK"

    def __init__(self, *, field: str, requested: int, watermark: int) -> None:
        super().__init__(
            f"{field} {requested} is not below the high watermark {watermark}",
            evidence={"field": field, "requested": requested, "high_watermark": watermark},
        )


class DisabledInDatabaseError(RefusalError):
    """The shared database says that this validator is signed for elsewhere, or no more (Web3Signer's `enabled`)."""

    code = "DISABLED_IN_DATABASE"

    def __init__(self, public_key: bytes) -> None:
        super().__init__(
            "the shared database has this validator disabled: it was deleted or moved, here or on another signer",
            evidence={"public_key": _hex(public_key)},
        )


class WrongNetworkError(RefusalError):
    """The request is for a chain with another genesis_validators_root."""

    code = "WRONG_NETWORK"

    def __init__(self, *, requested: Root, pinned: Root, sentence: str = "", remedy: str = "") -> None:
        """`sentence` and `remedy` where it is no client that asked."""
        super().__init__(
            sentence or "genesis_validators_root is not the one this signer is pinned to; check the client's network",
            evidence={
                "requested_genesis_validators_root": _hex(requested),
                "pinned_genesis_validators_root": _hex(pinned),
                **({"remedy": remedy} if remedy else {}),
            },
        )


class FarFutureError(RefusalError):
    """The slot or epoch is further ahead of the wall clock than the guard allows."""

    code = "FAR_FUTURE"

    def __init__(self, *, field: str, requested: int, limit: int) -> None:
        super().__init__(
            f"{field} {requested} is ahead of the clock's limit {limit}; check the clocks of client and signer",
            evidence={"field": field, "requested": requested, "limit": limit},
        )


class KeyStateError(RefusalError):
    """The key is there, and an operator has taken it out of service. Times are milliseconds since the Unix epoch."""

    code = "KEY_OUT_OF_SERVICE"


class KeyFrozenError(KeyStateError):
    """An operator has frozen this key (`frozen` is `key`), a tag that it bears (`tag:NAME`), or `all` of them."""

    code = "KEY_FROZEN"

    def __init__(self, identifier: str, *, since_ms: int, frozen: str) -> None:
        subject = {"all": "all keys are", "key": "this key is"}.get(frozen, "a tag of this key is")
        word = identifier if frozen == "key" else frozen
        super().__init__(
            f"{subject} frozen: nothing is signed until an operator thaws it (holdfast thaw {word})",
            evidence={"identifier": identifier, "frozen": frozen, "frozen_since_ms": since_ms},
        )


class KeyDisabledError(KeyStateError):
    """This key signs somewhere else."""

    code = "KEY_DISABLED"

    def __init__(self, identifier: str, *, since_ms: int) -> None:
        super().__init__(
            "this key is disabled: it was moved to another signer, and signing in two places is slashed",
            evidence={"identifier": identifier, "disabled_since_ms": since_ms},
        )


class KeyDeletedError(KeyStateError):
    """This key was deleted; its tombstone stays."""

    code = "KEY_DELETED"

    def __init__(self, identifier: str, *, since_ms: int) -> None:
        super().__init__(
            "this key was deleted here: it may live on another signer, and signing in two places is slashed",
            evidence={"identifier": identifier, "deleted_since_ms": since_ms},
        )


class KeyQuarantinedError(KeyStateError):
    """This key came without history; its votes and blocks wait until another signer of it would have shown."""

    code = "KEY_QUARANTINED"

    def __init__(self, identifier: str, *, until_epoch: int, until_seconds: float | None) -> None:
        until = None if until_seconds is None else datetime.fromtimestamp(until_seconds, UTC).isoformat()
        super().__init__(
            f"this key came with neither slashing history nor a migration receipt: no vote or block before epoch"
            f" {until_epoch}" + (f" ({until})" if until else "") + " is signed; its history ends the wait at once"
            f" (holdfast slashing import, holdfast migrate in), and so does an operator who is sure that nothing else"
            f" signs with it (holdfast keys release {identifier})",
            evidence={"identifier": identifier, "quarantined_until_epoch": until_epoch, "quarantined_until": until},
        )


class PolicyRefusalError(RefusalError):
    """A rule of the operator's own says no."""

    code = "POLICY_REFUSED"


class IrreversibleDutyError(PolicyRefusalError):
    """A duty that nothing takes back, and that no grant names for this client and key."""

    code = "IRREVERSIBLE_NOT_GRANTED"

    def __init__(self, duty_type: str, *, principal: str, identifier: str) -> None:
        super().__init__(
            f"{duty_type} cannot be taken back, and is not granted to {principal} for this key; it is turned on by an "
            f"entry of policy.irreversible_grants with this type, principal and key",
            evidence={"type": duty_type, "principal": principal, "identifier": identifier},
        )


class _OtherPreferenceError(PolicyRefusalError):
    """Something else is asked for than what an operator has set for this key."""

    member: ClassVar[str]
    setting: ClassVar[str]
    option: ClassVar[str]

    def __init__(self, identifier: str, *, requested: str | None, wanted: str, by_default: bool) -> None:
        where = f"by default ({self.setting})" if by_default else "for this key"
        asked = "is another one" if requested is None else f"{requested} is not the one"
        remedy = f"let the client ask for it, or set another: holdfast keys set {identifier} {self.option} VALUE"
        super().__init__(
            f"{self.member} {asked} that is set {where}, {wanted}; {remedy}",
            evidence={
                "identifier": identifier,
                "field": self.member,
                "requested": requested,
                "set": wanted,
                "set_by": self.setting if by_default else "key",
                "remedy": remedy,
            },
        )


class OtherFeeRecipientError(_OtherPreferenceError):
    """A registration, or a block that proves where its fees go, names another address than the operator."""

    code = "OTHER_FEE_RECIPIENT"
    member, setting, option = "fee_recipient", "keys.fee_recipient", "--fee-recipient"

    def __init__(self, identifier: str, *, requested: bytes | None, wanted: bytes, by_default: bool) -> None:
        """`requested` is None where the block proves only that it is another."""
        super().__init__(identifier, requested=_hex_or_none(requested), wanted=_hex(wanted), by_default=by_default)


class OtherGasLimitError(_OtherPreferenceError):
    """A registration asks for another gas limit than the operator."""

    code = "OTHER_GAS_LIMIT"
    member, setting, option = "gas_limit", "keys.gas_limit", "--gas-limit"

    def __init__(self, identifier: str, *, requested: int, wanted: int, by_default: bool) -> None:
        super().__init__(identifier, requested=str(requested), wanted=str(wanted), by_default=by_default)


class CounterLimitError(PolicyRefusalError):
    """A policy allows this as long as no more than so much is spent, and more would be."""

    code = "COUNTER_LIMIT"

    def __init__(
        self,
        policy: str,
        *,
        counter: str,
        window_seconds: int,
        spent: int,
        amount: int,
        limit: int,
        frees_at_seconds: int | None,
    ) -> None:
        """`window_seconds` 0: for good. `frees_at_seconds`: when it would pass if nobody spends meanwhile."""
        window = f"{window_seconds} s" if window_seconds else "its whole life"
        free = None if frees_at_seconds is None else datetime.fromtimestamp(frees_at_seconds, UTC).isoformat()
        when = f"; there is room for it from {free} on" if free else "; waiting does not help"
        super().__init__(
            f"policy {policy} lets {limit} be spent of {counter} in {window}: {spent} are, and this asks for"
            f" {amount}{when}",
            evidence={
                "policy": policy,
                "counter": counter,
                "window_seconds": window_seconds,
                "spent": str(spent),
                "amount": str(amount),
                "limit": str(limit),
                "frees_at": free,
            },
        )


class CounterChangedError(PolicyRefusalError):
    """A policy has read a counter, and by the commit it said something else: the policy is asked again."""

    code = "COUNTER_CONTENDED"

    def __init__(self, policy: str, *, counter: str) -> None:
        super().__init__(
            f"policy {policy} judged by the counter {counter}, which other requests have changed meanwhile; ask again",
            evidence={"policy": policy, "counter": counter},
        )


class PolicyDeniedError(PolicyRefusalError):
    """A policy says no. Its `code` is the policy's own, or POLICY_... where it gave no verdict that counts."""

    code = "POLICY_DENIED"

    def __init__(self, policy: str, *, version: str, code: str, message: str, evidence: Evidence) -> None:
        """`version` is empty where the default of the namespace denies."""
        named = f"policy {policy}" if version else "no policy is bound, and the default"
        super().__init__(
            f"{named} denies this: {message}",
            evidence={**evidence, "policy": policy, "version": version or None, "message": message},
        )
        self.code = code  # type: ignore[misc] # the one class whose code is not its own


class ApprovalRequiredError(PolicyRefusalError):
    """Policies let this be signed once people have approved it."""

    code = "APPROVAL_REQUIRED"


class ApprovalDeniedError(PolicyRefusalError):
    """One of those who were asked has denied it; the same request is not asked again until its time is over."""

    code = "APPROVAL_DENIED"

    def __init__(self, approval_id: str, *, denied_by: str, until_ms: int) -> None:
        until = _moment(until_ms)
        super().__init__(
            f"{denied_by} has denied this request; until {until} it is refused, and nobody is asked again",
            evidence={"approval": approval_id, "denied_by": denied_by, "until": until},
        )


class ApprovalChangedError(PolicyRefusalError):
    """In the commit an approval is not what the gate has found: spent, ended or removed meanwhile. It looks again."""

    code = "APPROVAL_CHANGED"

    def __init__(self, approval_id: str) -> None:
        super().__init__("the approval was spent or has ended meanwhile; ask again", evidence={"approval": approval_id})


class UnapprovableError(PolicyRefusalError):
    """A policy asks for approvals that nobody could give, or of a request whose principal nobody knows."""

    code = "NOBODY_CAN_APPROVE"


class TooManyApprovalsError(PolicyRefusalError):
    """As many requests of one principal wait for approval as may."""

    code = "TOO_MANY_APPROVALS"

    def __init__(self, requester: str, *, waiting: int) -> None:
        super().__init__(
            f"{requester} has {counted(waiting, 'request')} waiting for approval, and no more may wait; cancel some, or"
            " have them decided",
            evidence={"principal": requester, "waiting": waiting},
        )


class PolicyChangedError(PolicyRefusalError):
    """Between the policies' verdict and the commit an operator has changed the policies: they are asked again."""

    code = "POLICY_CHANGED"

    def __init__(self, *, judged_by: int, newest: int) -> None:
        super().__init__(
            f"the policies were changed meanwhile: they said this at revision {judged_by}, and revision {newest} holds;"
            " ask again",
            evidence={"judged_by": judged_by, "newest": newest},
        )


# --- states of the service ----------------------------------------------------------------------


class BusyError(SignerError):
    """One at a time, and one is running."""

    code = "BUSY"


class NotReadyError(SignerError):
    """The first load of keys has not ended; an incomplete list would make clients drop validators."""

    code = "NOT_READY"


class UnavailableError(SignerError):
    """We do not know enough to sign, so we do not sign."""

    code = "UNAVAILABLE"


class JournalDownError(UnavailableError):
    """The journal does not take commands."""

    code = "JOURNAL_DOWN"


class DatabaseDownError(JournalDownError):
    """The shared database does not answer, or not in time; nothing was recorded."""

    code = "DATABASE_DOWN"


class OutcomeUnknownError(UnavailableError):
    """A commit may or may not have happened; nobody gets a signature from it."""

    code = "OUTCOME_UNKNOWN"


class DeadlineError(UnavailableError):
    """The answer would have come too late to be of use."""

    code = "DEADLINE_PASSED"


class PoliciesUnreadableError(UnavailableError):
    """The policies on record cannot be read, so nobody knows what may be signed."""

    code = "POLICIES_UNREADABLE"

    def __init__(self, sentence: str, *, remedy: str) -> None:
        super().__init__(
            f"nothing is signed, because the policies on record cannot be read: {sentence}; {remedy}",
            evidence={"remedy": remedy},
        )


class NoRoomError(UnavailableError):
    """Too many large bodies are on their way; nothing of this one was judged, and asking again is safe."""

    code = "NO_ROOM_FOR_BODY"


class SigningFailedError(UnavailableError):
    """The key's backend failed after the decision was recorded; asking again is safe."""

    code = "SIGNING_FAILED"


# --- operators' errors ----------------------------------------------------------------------------


class StartupError(SignerError):
    """A state in which the signer will not start. `remedy` says what to do about it."""

    code = "STARTUP_REFUSED"

    def __init__(self, sentence: str, *, remedy: str, evidence: Evidence | None = None) -> None:
        super().__init__(sentence, evidence=evidence)
        self.remedy = remedy


class ForeignDatabaseError(StartupError):
    """The database file is not one of ours, or not this data directory's."""

    code = "FOREIGN_DATABASE"


class CorruptDatabaseError(StartupError):
    """The database or the audit log in it fails its own checks."""

    code = "CORRUPT_DATABASE"


class RolledBackError(StartupError):
    """The database is older than its head file: it was restored, and history is missing."""

    code = "DATABASE_ROLLED_BACK"


class DataDirectoryInUseError(StartupError):
    """Another process holds the data directory's lock."""

    code = "DATA_DIRECTORY_IN_USE"


class InstanceInUseError(StartupError):
    """Another process works under this instance's name: a copy of its data directory."""

    code = "INSTANCE_IN_USE"

    def __init__(self, instance: str) -> None:
        super().__init__(
            "another process holds the lease of this instance and goes on renewing it",
            remedy="stop it; each signer of a shared database needs a data directory of its own, made by"
            " `holdfast init`, never a copy of another's",
            evidence={"instance": instance},
        )


class LeaseLostError(StartupError):
    """Another process has taken over this instance's lease: this one must not write any more."""

    code = "LEASE_LOST"

    def __init__(self, instance: str) -> None:
        super().__init__(
            "another process has taken over the lease of this instance while this one was paused or cut off",
            remedy="find out which of the two should run, and start only that one",
            evidence={"instance": instance},
        )


class ConfigError(SignerError):
    """A configuration fault: `where` names file and line (or the variable, or the flag)."""

    code = "BAD_CONFIGURATION"

    def __init__(self, sentence: str, *, where: str, key: str, remedy: str) -> None:
        super().__init__(sentence, evidence={"where": where, "key": key, "remedy": remedy})
        self.where = where
        self.key = key
        self.remedy = remedy


class KeyFileError(SignerError):
    """One key file that cannot be loaded; the others go on."""

    code = "BAD_KEY_FILE"

    def __init__(self, sentence: str, *, file: str) -> None:
        super().__init__(sentence, evidence={"file": file})
        self.file = file


class KeyFormatError(SignerError):
    """What should be a key or a keystore is none, or its password does not open it."""

    code = "BAD_KEY_FORMAT"


class UnreadableFileError(SignerError):
    """A file that is missing, may not be read, is too large or is no regular file."""

    code = "UNREADABLE_FILE"

    def __init__(self, file: str, *, reason: str) -> None:
        super().__init__(f"{file} cannot be read: {reason}", evidence={"file": file, "reason": reason})
        self.file = file
        self.reason = reason


class PolicyBuildError(SignerError):
    """A policy's source that does not become a module; `said` holds the compiler's own words."""

    code = "POLICY_BUILD_FAILED"

    def __init__(self, sentence: str, *, said: str, remedy: str) -> None:
        super().__init__(sentence, evidence={"said": said, "remedy": remedy})
        self.said = said
        self.remedy = remedy


class PolicyToolMissingError(PolicyBuildError):
    """The compiler of a policy's language is not installed."""

    code = "POLICY_TOOL_MISSING"

    def __init__(self, sentence: str, *, program: str, remedy: str) -> None:
        super().__init__(sentence, said="", remedy=remedy)
        self.program = program


class PolicyCasesError(SignerError):
    """A policy whose own cases it does not pass, or that has none; `cases` are those that fail, a line each."""

    code = "POLICY_CASES_FAIL"

    def __init__(self, sentence: str, *, cases: Sequence[str], remedy: str) -> None:
        super().__init__(sentence, evidence={"cases": "\n".join(cases) or None, "remedy": remedy})
        self.cases = tuple(cases)
        self.remedy = remedy


class ShutDownError(SignerError):
    """The signer is stopping and gave this work up."""

    code = "SHUTTING_DOWN"


class SecretSourceError(SignerError):
    """A password that cannot be had from where it should come."""

    code = "SECRET_UNAVAILABLE"


class SealError(SignerError):
    """Sealed bytes that do not open: another key, or somebody changed them or what they are bound to."""

    code = "SEAL_BROKEN"


class UnreachableError(SignerError):
    """A server that a command should ask cannot be reached, or its answer broke off."""

    code = "UNREACHABLE"

    def __init__(self, sentence: str, *, remedy: str) -> None:
        super().__init__(sentence, evidence={"remedy": remedy})
        self.remedy = remedy


class AnsweredError(SignerError):
    """What a server answered a command instead of the result: the problem, as it was told over there."""

    code = "ANSWERED"

    def __init__(self, sentence: str, *, status: int, reported_code: str, evidence: Evidence) -> None:
        super().__init__(sentence, evidence=evidence)
        self.status = status
        self.reported_code = reported_code


class AuditError(SignerError):
    """The audit log does not verify: an entry was changed, removed or reordered."""

    code = "AUDIT_BROKEN"


def _moment(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="seconds")


def _hex(value: bytes) -> str:
    return "0x" + value.hex()


def _hex_or_none(value: bytes | None) -> str | None:
    return None if value is None else _hex(value)
