"""How each operation is told in the audit log."""

from collections.abc import Sequence

from msgspec import Struct

from signer.audit.entry import Entry, Flag, Kind, Outcome, encode_entry
from signer.auth.principal import Caller
from signer.errors import SignerError
from signer.journal.command import Verdict
from signer.policy.combine import Outcome as PolicyOutcome

_NO_REQUEST = b"\0" * 8

_SHOWN_DIGITS = 16
"""Of a policy's version, which has 64: an entry has room for several."""


class DutyStory(Struct, frozen=True):
    """One duty: allowed or refused by the writer's verdict, or refused before it (`refused_as`)."""

    caller: Caller
    public_key: bytes
    duty: str
    lower: int
    upper: int
    signing_root: bytes
    time_ms: int
    refused_as: SignerError | None = None
    note: str = ""
    """Of what is allowed: the policies that had a say."""

    kept: bytes = b""
    """SHA-256 of what is kept beside the entry; empty where nothing is."""

    def entry(self, verdict: Verdict) -> bytes:
        """See `Chronicle.entry`."""
        said = (self.duty, self.lower, self.upper, self.signing_root)
        return _entry_of(Kind.DUTY, self, said, verdict, allowed=self.note, flags=Flag.REPEAT if verdict.repeat else 0)


class ExtensionStory(Struct, frozen=True):
    """Raw bytes of a PROOF_OF_VALIDATION: marked blind."""

    caller: Caller
    public_key: bytes
    duty: str
    timestamp: int
    """Seconds since the Unix epoch, as the caller's body says."""

    platform: str
    digest: bytes
    time_ms: int
    refused_as: SignerError | None = None
    note: str = ""
    """As a duty's."""

    kept: bytes = b""
    """As a duty's."""

    def entry(self, verdict: Verdict) -> bytes:
        """See `Chronicle.entry`."""
        said = (self.duty, self.timestamp, self.timestamp, self.digest)
        allowed = _joined(self.platform, self.note)
        return _entry_of(Kind.EXTENSION, self, said, verdict, allowed=allowed, flags=Flag.BLIND)


class NoteStory(Struct, frozen=True):
    """Something that happened to the service or by an operator's hand."""

    kind: Kind
    time_ms: int
    note: str
    principal: str = ""
    request_id: bytes = _NO_REQUEST
    public_key: bytes = b""
    code: str = ""

    def entry(self, _verdict: Verdict) -> bytes:
        """See `Chronicle.entry`."""
        return encode_entry(
            Entry(
                self.kind,
                Outcome.NOTED,
                self.time_ms,
                self.request_id,
                self.principal,
                self.public_key,
                code=self.code,
                note=self.note,
            )
        )


class RefusedStory(Struct, frozen=True):
    """What somebody ordered and was refused, where nothing else is on record of it."""

    kind: Kind
    time_ms: int
    note: str
    caller: Caller
    refused_as: SignerError
    public_key: bytes = b""

    def entry(self, _verdict: Verdict) -> bytes:
        """See `Chronicle.entry`."""
        return encode_entry(
            Entry(
                self.kind,
                Outcome.REFUSED,
                self.time_ms,
                self.caller.request_id,
                self.caller.principal.name,
                self.public_key,
                code=self.refused_as.code,
                note=self.note,
            )
        )


def told_outcomes(outcomes: Sequence[PolicyOutcome]) -> str:
    """The policies that had a say in what is allowed, for its entry: names and versions."""
    named = [f"{each.policy}@{each.version[:_SHOWN_DIGITS]}" for each in outcomes if each.version]
    return "policies=" + ",".join(named) if named else ""


def told_kept(digest: bytes) -> str:
    """For an entry: what is kept beside it. First in the note, so that a long one is not cut there."""
    return f"facts={digest.hex()}" if digest else ""


def _entry_of(
    kind: Kind,
    story: DutyStory | ExtensionStory,
    said: tuple[str, int, int, bytes],
    verdict: Verdict,
    *,
    allowed: str,
    flags: int,
) -> bytes:
    """`said`: what was asked for, its lower and upper number, and its hash; `allowed`: what is noted if it is."""
    error = verdict.refusal or story.refused_as
    caller = story.caller
    return encode_entry(
        Entry(
            kind,
            Outcome.ALLOWED if error is None else Outcome.REFUSED,
            story.time_ms,
            caller.request_id,
            caller.principal.name,
            story.public_key,
            *said,
            "" if error is None else error.code,
            _joined(told_kept(story.kept), allowed if error is None else _note(error)),
            flags,
        )
    )


def _joined(*notes: str) -> str:
    return "; ".join(note for note in notes if note)


def _note(error: SignerError) -> str:
    return "; ".join(f"{name}={value}" for name, value in error.evidence.items())
