"""`holdfast slashing watermark|prune|status|explain`: the record as it is, and what is changed about it by hand."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Annotated, Any

import typer

from signer.cli.commands.context import session_of
from signer.cli.problem import EXIT_NOT_LOADED, EXIT_REFUSED, UsageFault
from signer.cli.service import Service
from signer.errors import MalformedRequestError
from signer.operations.explain import Explanation, Question, parse_public_key
from signer.operations.record_orders import MoveWatermarks, PruneRecord
from signer.operations.record_status import RecordStatus, ToldRecord
from signer.units import UINT64_MAX, PublicKey

_ASK_EITHER = "give --source and --target, or --slot"
_REMEDIES: Mapping[str | int | None, str] = {
    "public_key": "write the whole public key, 96 hexadecimal digits; `holdfast keys list` shows those loaded",
    "root": "write the whole signing root, 64 hexadecimal digits, or leave --root out",
}
"""By the part of the question that is at fault."""

KeyOption = Annotated[str | None, typer.Option("--key", metavar="KEY", help="One key alone: its public key.")]


def add_to(group: typer.Typer) -> None:
    """Add the commands."""
    group.command("status")(status)
    group.command("explain")(explain)
    group.command("watermark")(watermark)
    group.command("prune")(prune)


def status(
    context: typer.Context,
    key: Annotated[str | None, typer.Argument(help="The public key; every key on record where none is named.")] = None,
) -> int:
    """Show what is on record: the watermarks of all keys, and for each key its state, floors, newest vote and block.

    The state is `active`, or what keeps the key from signing: moved away, deleted, frozen (by itself, a tag or all),
    quarantined until an epoch, or disabled in the shared database by somebody else.

    Exit code 1 where a key is named of which nothing is known.

    For example:

    - `holdfast slashing status --config holdfast.yaml`
    - `holdfast slashing status 0x8c1d... --json`
    """
    session = session_of(context)
    wanted = None if key is None else _key(key)
    with session.service() as service, session.output.progress("reading"):
        found = _whole_status(service, wanted)
    session.output.document(asdict(found))
    for line in _mark_lines(asdict(found.watermarks)):
        session.output.line(line)
    session.output.headed_table(
        (
            "public key",
            "state",
            "source floor",
            "target floor",
            "slot floor",
            "votes",
            "newest vote",
            "blocks",
            "newest block",
        ),
        [_row(each) for each in found.keys],
    )
    for each in found.keys:
        if each.unfinished_import is not None:
            session.output.notice(
                f"{each.public_key} is held by an unfinished import (document {each.unfinished_import}): its floors are"
                " that document's newest records; run the same import again, which completes it and lifts the hold"
            )
    if wanted is not None and not found.keys:
        session.output.notice("nothing is on record for this key")
        return EXIT_REFUSED
    return 0


def explain(
    context: typer.Context,
    key: Annotated[str, typer.Argument(help="The public key that would sign.")],
    *,
    source: Annotated[int | None, typer.Option(metavar="EPOCH", min=0, help="The vote's source epoch.")] = None,
    target: Annotated[int | None, typer.Option(metavar="EPOCH", min=0, help="The vote's target epoch.")] = None,
    slot: Annotated[int | None, typer.Option(min=0, help="The block's slot, in place of a vote.")] = None,
    root: Annotated[
        str | None, typer.Option(metavar="ROOT", help="Its signing root, to be told a repeat from another message.")
    ] = None,
) -> int:
    """Say whether a vote or a block would be signed, and if not, what stands against it. Nothing is written.

    The answer holds for this moment, for a caller who may sign, on the network of the record. Without --root any other
    message for the same target or slot is meant. Exit code 0: it would be signed; 1: it would be refused; 3: the key is
    not loaded. Where no signer runs, the record alone is asked, and not whether a key file is there (`holdfast keys
    list` loads them): then 0 means that the record allows it, and 3 that it knows nothing of the key.

    For example:

    - `holdfast slashing explain 0x8c1d... --source 411500 --target 411501 --config holdfast.yaml`
    - `holdfast slashing explain 0x8c1d... --slot 13168032 --root 0x5e2a... --json`
    """
    session = session_of(context)
    try:
        question = Question.parse(public_key=key, source=source, target=target, slot=slot, root=root)
    except MalformedRequestError as error:
        raise UsageFault(error.sentence, remedy=_REMEDIES.get(error.evidence.get("path"), _ASK_EITHER)) from error
    with session.service() as service, session.output.progress("asking the record"):
        found = service.explain(question)
    session.output.document({"would_sign": found.would_sign, **asdict(found)})
    for line in _explanation(found):
        session.output.line(line)
    return _exit_code(found)


def watermark(
    context: typer.Context,
    *,
    key: KeyOption = None,
    low_epoch: Annotated[
        int | None,
        typer.Option(
            metavar="EPOCH",
            min=0,
            max=UINT64_MAX,
            help="No vote with a lower source, or a target at or below it, is signed.",
        ),
    ] = None,
    low_slot: Annotated[
        int | None, typer.Option(metavar="SLOT", min=0, max=UINT64_MAX, help="No block at or below it is signed.")
    ] = None,
    high_epoch: Annotated[
        int | None,
        typer.Option(metavar="EPOCH", min=0, max=UINT64_MAX, help="No vote with a target at or above it is signed."),
    ] = None,
    high_slot: Annotated[
        int | None, typer.Option(metavar="SLOT", min=0, max=UINT64_MAX, help="No block at or above it is signed.")
    ] = None,
    clear_high: Annotated[bool, typer.Option("--clear-high", help="Take the high watermark away.")] = False,
    far_ahead: Annotated[
        bool, typer.Option("--far-ahead", help="A low one more than a day ahead of the clock is meant.")
    ] = False,
) -> None:
    """Raise low watermarks (they never fall), or set and clear the high one, which stops signing at a planned time.

    For all keys, those of later too; with --key the floors of that key alone rise. What is on record at a low watermark
    may still be repeated. Every change is in the audit log, with the name of whoever made it.

    For example:

    - `holdfast slashing watermark --high-epoch 412000 --high-slot 13184000 --config holdfast.yaml`
    - `holdfast slashing watermark --clear-high --config holdfast.yaml`
    - `holdfast slashing watermark --key 0x8c1d... --low-epoch 411500 --low-slot 13168000`
    """
    session = session_of(context)
    order = MoveWatermarks(None if key is None else _key(key), low_epoch, low_slot, high_epoch, high_slot, clear_high)
    if order == MoveWatermarks(order.public_key):
        raise UsageFault("no watermark is named", remedy="see `holdfast slashing watermark --help`; status shows them")
    with session.service() as service, session.output.progress("moving watermarks"):
        moved = service.move_watermarks(order, far_ahead=far_ahead)
    session.output.document({"public_key": key, **asdict(moved)})
    for name, after in moved.after.items():
        session.output.line(_moved_line(name, moved.before.get(name), after))


def prune(
    context: typer.Context,
    *,
    key: KeyOption = None,
    keep_epochs: Annotated[
        int | None,
        typer.Option(min=0, max=UINT64_MAX, help="Epochs of votes that stay; `journal.prune_keep_epochs` if not said."),
    ] = None,
    keep_slots: Annotated[
        int | None,
        typer.Option(min=0, max=UINT64_MAX, help="Slots of blocks that stay; `journal.prune_keep_slots` if not said."),
    ] = None,
) -> None:
    """Delete old records now; floors rise over them, so nothing is signed that was refused before.

    A running signer goes on signing meanwhile; whatever ends this command, what it has pruned until then is whole. What
    was deleted is no evidence any more, and not in exports: the audit log keeps every decision.

    For example:

    - `holdfast slashing prune --config holdfast.yaml`
    - `holdfast slashing prune --keep-epochs 1000 --keep-slots 32000 --config holdfast.yaml`
    """
    session = session_of(context)
    order = PruneRecord(keep_epochs, keep_slots, None if key is None else _key(key))
    votes = blocks = 0
    more = True
    with session.service() as service, session.output.progress("pruning") as advance:
        while more:
            done = service.prune(order)
            votes, blocks, more = votes + done.votes, blocks + done.blocks, done.more
            advance(votes + blocks, 0)
    session.output.document({"votes": votes, "blocks": blocks})
    session.output.line(f"{votes} votes and {blocks} blocks pruned")


def _whole_status(service: Service, key: PublicKey | None) -> RecordStatus:
    found = service.slashing_status(public_key=key, after=b"")
    keys = [*found.keys]
    while found.next_after is not None:
        found = service.slashing_status(public_key=None, after=_key(found.next_after))
        keys += found.keys
    return RecordStatus(found.watermarks, tuple(keys), None)


def _key(text: str) -> PublicKey:
    try:
        return parse_public_key(text)
    except MalformedRequestError as error:
        raise UsageFault(f"{text[:120]} is no public key", remedy="`holdfast keys list` shows those loaded") from error


def _row(each: ToldRecord) -> tuple[str, ...]:
    vote = "" if each.newest_target is None else f"{each.newest_source}->{each.newest_target}"
    numbers = (each.floor_source, each.floor_target, each.floor_slot, each.votes, vote, each.blocks, each.newest_slot)
    return each.public_key, ", ".join(each.state), *(_text(number) for number in numbers)


def _exit_code(found: Explanation) -> int:
    if found.verdict == "not_loaded":
        return EXIT_NOT_LOADED
    if found.verdict == "refused":
        return EXIT_REFUSED
    return EXIT_NOT_LOADED if found.key_loaded is None and found.record is None else 0


def _answer(found: Explanation) -> list[str]:
    yes = "yes" if found.key_loaded else "the record allows it, if the key is loaded"
    match found.verdict:
        case "new":
            lines = [f"{yes}: it would be signed"]
        case "repeat":
            lines = [f"{yes}: it is on record, and the same signature would be given again"]
        case "refused":
            lines = [f"no: {found.reason} ({found.code})"]
        case "not_loaded":
            return [
                f"no: this key is not loaded: a request for it is answered 404, whatever is on record ({found.code})",
                "  remedy: compare the key with `holdfast keys list`, digit by digit",
            ]
    if found.key_loaded is None:
        lines.append(
            "  no signer runs here, and no key file was looked at: `holdfast keys list` loads them and shows whether"
            " this key is there"
        )
    return lines


def _explanation(found: Explanation) -> list[str]:
    lines = _answer(found)
    lines += [f"  {name}: {value}" for name, value in found.evidence.items() if value is not None]
    record = found.record
    if record is None:
        lines.append("nothing is on record for this key")
    else:
        lines.append(
            f"floors: source {_text(record.floor_source) or '-'}, target {_text(record.floor_target) or '-'},"
            f" slot {_text(record.floor_slot) or '-'}"
        )
    lines += _mark_lines(asdict(found.watermarks))
    room = found.room
    lines.append(
        "accepted in any case: a vote with "
        + _span("source", room.least_source, None)
        + " and "
        + _span("target", room.least_target, room.greatest_target)
    )
    lines.append("accepted in any case: a block with " + _span("slot", room.least_slot, room.greatest_slot))
    return lines


def _span(name: str, least: int | None, greatest: int | None) -> str:
    if least is not None and greatest is not None:
        return f"{name} {least} to {greatest}" if least <= greatest else f"no {name} at all for now"
    if least is None and greatest is None:
        return f"any {name}"
    return f"{name} from {least} on" if greatest is None else f"{name} up to {greatest}"


def _mark_lines(marks: Mapping[str, Any]) -> list[str]:
    told = [f"{name.replace('_', ' ')} {value}" for name, value in marks.items() if value is not None]
    return ["watermarks of all keys: " + (", ".join(told) or "none")]


def _moved_line(name: str, before: int | None, after: int | None) -> str:
    words = name.replace("_", " ")
    return f"{words}: {_text(after) or 'none'}" + ("" if before == after else f" (was {_text(before) or 'none'})")


def _text(value: int | str | None) -> str:
    return "" if value is None else str(value)
