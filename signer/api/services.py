"""What the handlers may call: operations, the decoder of the wire, and a few facts for the status pages."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from signer.api.receiving import BodyRoom
from signer.api.wire_eth2 import decode_batch_entry, decode_extension, decode_sign_request, parse_identifier
from signer.auth.principal import Caller
from signer.clock import Clock
from signer.eth2.networks import Network
from signer.events import Events
from signer.intent import SignDuty, SignExtension
from signer.operations.custody import Custody
from signer.operations.dry_run import DryRun
from signer.operations.evaluate_policies import PolicyEvaluation
from signer.operations.explain import Explaining
from signer.operations.freeze_keys import KeyFreezing
from signer.operations.keep_preferences import PreferenceKeeping
from signer.operations.keep_record import RecordKeeping
from signer.operations.kept_decisions import DecisionReading
from signer.operations.key_manager import KeyManager
from signer.operations.manage_keys import KeyManagement
from signer.operations.manage_policies import PolicyManagement
from signer.operations.protect import Protection
from signer.operations.read_audit import AuditPage, AuditQuery
from signer.operations.review_approvals import ApprovalReview
from signer.operations.sign import Signing
from signer.operations.sign_exit import VoluntaryExits
from signer.operations.verify_audit import AuditReport
from signer.operations.who_can import WhoCan
from signer.units import PublicKey


@dataclass(frozen=True, slots=True)
class Wire:
    """From bytes to intents, on any thread.

    Each raises RequestError; `identifier` and `batch_entry` raise UnknownKeyError for what is no key.
    """

    identifier: Callable[[str], PublicKey]
    sign_request: Callable[[bytes, PublicKey], SignDuty]
    batch_entry: Callable[[bytes], SignDuty]
    extension: Callable[[bytes, PublicKey], SignExtension]


def wire_of(network: Network) -> Wire:
    """The decoder for one network: its preset decides the limits of full blocks."""
    return Wire(
        identifier=parse_identifier,
        sign_request=lambda body, public_key: decode_sign_request(body, public_key, network),
        batch_entry=lambda entry: decode_batch_entry(entry, network),
        extension=decode_extension,
    )


@dataclass(frozen=True, slots=True)
class Identity:
    """What this process is, for the status page."""

    version: str
    network: str
    data_directory: str


@dataclass(frozen=True, slots=True)
class Services:
    """Collaborators of the handlers. One instance for the life of the process."""

    signing: Signing
    dry_run: DryRun
    policy_evaluation: PolicyEvaluation
    keys: KeyManagement
    freezing: KeyFreezing
    custody: Custody
    key_manager: KeyManager
    preferences: PreferenceKeeping
    policy_management: PolicyManagement
    who_can: WhoCan
    kept_decisions: DecisionReading
    exits: VoluntaryExits
    protection: Protection
    wire: Wire
    clock: Clock
    events: Events
    identity: Identity

    journal_state: Callable[[], Awaitable[Mapping[str, str | int | float | None]]]
    """What the journal tells of itself. Raises JournalDownError in a worker whose main process does not answer."""

    journal_healthy: Callable[[], Awaitable[bool]]
    """True while the journal takes commands. Never raises."""

    policies_fault: Callable[[], str]
    """Why the policies on record cannot be relied on; empty where they can. Told to anybody who asks for health."""

    verify_audit: Callable[[Caller], Awaitable[AuditReport]]
    """Raises AuditError, ForbiddenError."""

    read_audit: Callable[[AuditQuery, Caller], Awaitable[AuditPage]]
    """Raises AuditError, ForbiddenError."""

    explaining: Explaining
    keeping: RecordKeeping
    approvals: ApprovalReview

    metrics_page: Callable[[], Awaitable[bytes]]
    shadow_counts: Callable[[], Awaitable[Mapping[str, tuple[int, int]]]]
    """By policy: how often a version beside it was compared with it, and how often they differed."""
    """The metrics of all processes in Prometheus' text format 0.0.4. Takes milliseconds, on a thread."""

    body_room: BodyRoom = field(default_factory=BodyRoom)
    """For the large bodies of all listeners of this process."""
