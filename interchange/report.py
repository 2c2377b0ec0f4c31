"""Findings, differences and summaries in words for people and in plain values for `--json`."""

from collections.abc import Mapping

from interchange.check import BackwardVote, DoubleBlock, DoubleVote, Finding, SurroundVote
from interchange.diff import Difference
from interchange.model import SignedAttestation, SignedBlock
from interchange.summary import Span, Summary

Plain = Mapping[str, object]


def finding_line(finding: Finding) -> str:
    """One finding as a sentence, roots whole: they are what an operator searches for."""
    key = hex_of(finding.pubkey)
    match finding:
        case DoubleBlock(_, first, second):
            return f"{key}: two blocks in slot {first.slot}: {_roots(first, second)}"
        case DoubleVote(_, first, second):
            return f"{key}: two votes for target {first.target_epoch}: {_vote(first)} and {_vote(second)}"
        case SurroundVote(_, surrounding, surrounded):
            return f"{key}: vote {_vote(surrounding)} surrounds vote {_vote(surrounded)}"
        case BackwardVote(_, vote):
            return f"{key}: vote {_vote(vote)} has its source after its target"


def finding_values(finding: Finding) -> Plain:
    """One finding with a stable code."""
    key = {"pubkey": hex_of(finding.pubkey)}
    match finding:
        case DoubleBlock(_, first, second):
            return {"code": "DOUBLE_BLOCK", **key, "first": _block_values(first), "second": _block_values(second)}
        case DoubleVote(_, first, second):
            return {"code": "DOUBLE_VOTE", **key, "first": _vote_values(first), "second": _vote_values(second)}
        case SurroundVote(_, surrounding, surrounded):
            values = {"surrounding": _vote_values(surrounding), "surrounded": _vote_values(surrounded)}
            return {"code": "SURROUND_VOTE", **key, **values}
        case BackwardVote(_, vote):
            return {"code": "BACKWARD_VOTE", **key, "vote": _vote_values(vote)}


def difference_line(difference: Difference) -> str:
    """One difference as a sentence; `LOWER` marks what would let a signer sign again."""
    key = hex_of(difference.pubkey)
    mark = " LOWER" if difference.lowers else ""
    if difference.before is None:
        return f"+ {key}: only in the second: {summary_line(difference.after or Summary())}"
    if difference.after is None:
        return f"-{mark} {key}: only in the first: {summary_line(difference.before)}"
    counts = (
        f"{counted(difference.only_before, 'record')} only in the first, "
        f"{counted(difference.only_after, 'record')} only in the second"
    )
    return (
        f"~{mark} {key}: {counts}\n    first:  {summary_line(difference.before)}"
        f"\n    second: {summary_line(difference.after)}"
    )


def difference_values(difference: Difference) -> Plain:
    """One difference as plain values."""
    return {
        "pubkey": hex_of(difference.pubkey),
        "first": summary_values(difference.before) if difference.before else None,
        "second": summary_values(difference.after) if difference.after else None,
        "records_only_in_first": difference.only_before,
        "records_only_in_second": difference.only_after,
        "lowers": difference.lowers,
    }


def summary_line(summary: Summary) -> str:
    """A history in one line."""
    blocks = counted(summary.blocks, "block") + (f" (slots {_range(summary.slots)})" if summary.slots else "")
    votes = counted(summary.attestations, "attestation")
    if summary.source_epochs and summary.target_epochs:
        votes += f" (sources {_range(summary.source_epochs)}, targets {_range(summary.target_epochs)})"
    return f"{blocks}, {votes}"


def summary_values(summary: Summary) -> Plain:
    """A history in plain values; slots and epochs as strings, as in the format itself."""
    return {
        "blocks": summary.blocks,
        "attestations": summary.attestations,
        "slots": _span_values(summary.slots),
        "source_epochs": _span_values(summary.source_epochs),
        "target_epochs": _span_values(summary.target_epochs),
    }


def counted(number: int, noun: str) -> str:
    """A number of things."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def hex_of(value: bytes) -> str:
    """Hex with its prefix."""
    return "0x" + value.hex()


def _range(span: Span) -> str:
    return str(span.lowest) if span.lowest == span.highest else f"{span.lowest} to {span.highest}"


def _span_values(span: Span | None) -> Plain | None:
    return {"lowest": str(span.lowest), "highest": str(span.highest)} if span else None


def _roots(first: SignedBlock, second: SignedBlock) -> str:
    return f"{_root(first.signing_root)} and {_root(second.signing_root)}"


def _root(root: bytes | None) -> str:
    return "no root" if root is None else hex_of(root)


def _vote(vote: SignedAttestation) -> str:
    return f"{vote.source_epoch}->{vote.target_epoch} ({_root(vote.signing_root)})"


def _block_values(block: SignedBlock) -> Plain:
    return {"slot": str(block.slot), "signing_root": hex_of(block.signing_root) if block.signing_root else None}


def _vote_values(vote: SignedAttestation) -> Plain:
    return {
        "source_epoch": str(vote.source_epoch),
        "target_epoch": str(vote.target_epoch),
        "signing_root": hex_of(vote.signing_root) if vote.signing_root else None,
    }
