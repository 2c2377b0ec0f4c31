"""`holdfast approvals`: requests that wait for people."""

import json
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from signer.approvals.signed_statement import Decision
from signer.cli.approval_client import ApprovalClient, Shown, sign_shown
from signer.cli.approval_key import create_approval_key, read_approval_key
from signer.cli.commands.context import session_of
from signer.cli.policy_change_words import change_words
from signer.cli.problem import EXIT_REFUSED, UsageFault
from signer.cli.session import Session
from signer.cli.statements import Verified, find_statements, verify_statement
from signer.counted import counted

IdArgument = Annotated[str, typer.Argument(metavar="ID", help="32 digits, as `holdfast approvals list` shows them.")]
KeyOption = Annotated[
    Path | None,
    typer.Option("--key", metavar="FILE", help="Your approval key (`holdfast approvals keygen`), where you have one."),
]
NameOption = Annotated[
    str | None, typer.Option("--as", metavar="NAME", help="Your principal's name; needed with --key.")
]
HashOption = Annotated[
    str | None,
    typer.Option(
        metavar="HASH", help="The request hash that you have looked at: it is decided without asking you again."
    ),
]


@dataclass(frozen=True, slots=True)
class _How:
    """How somebody decides: what they have looked at, and what they sign it with."""

    request_hash: str | None
    key: Path | None
    name: str | None


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="Requests that wait for people: look, approve, deny.", no_args_is_help=True)
    group.command("list")(list_requests)
    group.command("show")(show)
    group.command("approve")(approve)
    group.command("deny")(deny)
    group.command("cancel")(cancel)
    group.command("collect")(collect)
    group.command("keygen")(keygen)
    group.command("verify")(verify)
    app.add_typer(group, name="approvals")


def list_requests(
    context: typer.Context,
    *,
    ended: Annotated[bool, typer.Option("--all", help="Those that have ended too, as long as they are kept.")] = False,
) -> None:
    """Show the requests that wait for people and that you may see, the newest first.

    For example:

    - `holdfast approvals list --endpoint https://signer:9000 --token-file ann.token --ca ca.pem`
    """
    session = session_of(context)
    found = _client(session).list_requests(ended_too=ended)
    session.output.document({"approvals": found})
    columns = ("approval", "state", "type", "asked by", "missing", "until")
    session.output.headed_table(columns, [_row(each) for each in found])


def show(context: typer.Context, approval: IdArgument) -> None:
    """Show one request: what would be signed, decoded; who asks; who has said what; until when.

    For example:

    - `holdfast approvals show ID --endpoint https://signer:9000 --token-file ann.token --ca ca.pem`
    """
    session = session_of(context)
    _tell(session, _client(session).show(approval))


def approve(
    context: typer.Context,
    approval: IdArgument,
    request_hash: HashOption = None,
    key: KeyOption = None,
    name: NameOption = None,
) -> int:
    """Say yes to one request. It is shown first, and you are asked, unless you name its hash.

    With an approval key what you say is signed with it on this machine: the facts and the hashes in it are computed
    here from what you were shown. The audit log keeps it, and `holdfast approvals verify` checks it years later.

    For example:

    - `holdfast approvals approve ID --key ann.key --as ann --endpoint https://signer:9000 --token-file ann.token`
    """
    return _decide(session_of(context), approval, "approve", _How(request_hash, key, name))


def deny(
    context: typer.Context,
    approval: IdArgument,
    request_hash: HashOption = None,
    key: KeyOption = None,
    name: NameOption = None,
) -> int:
    """Say no to one request, which ends it: also after others have approved, as long as it is not done.

    For example:

    - `holdfast approvals deny ID --endpoint https://signer:9000 --token-file ann.token --ca ca.pem`
    """
    return _decide(session_of(context), approval, "deny", _How(request_hash, key, name))


def cancel(context: typer.Context, approval: IdArgument) -> None:
    """Take a request back: your own, or anybody's with the action `approvals:cancel` (over the admin socket always).

    For example:

    - `holdfast approvals cancel ID --config holdfast.yaml`
    """
    session = session_of(context)
    _tell(session, _client(session).cancel(approval))


def collect(context: typer.Context, approval: IdArgument) -> int:
    """Have an approved request of yours signed: the whole gate decides once more. Exit code 1 where it waits still.

    For example:

    - `holdfast approvals collect ID --endpoint https://signer:9000 --token-file client.token --ca ca.pem`
    """
    session = session_of(context)
    answer = _client(session).collect(approval)
    session.output.document(dict(answer))
    if "signature" in answer:
        session.output.line(str(answer["signature"]))
        return 0
    waits = answer["approval"]
    session.output.line(f"{waits['approval']} is {waits['state']}: {waits['missing'] or waits['ready_at']}")
    return EXIT_REFUSED


def keygen(
    context: typer.Context, file: Annotated[Path, typer.Argument(help="Where the key goes, mode 0600.")]
) -> None:
    """Make an approval key on this machine, and print its public half for `security.principals[].approval_key`.

    For example:

    - `holdfast approvals keygen ann.key`
    """
    session = session_of(context)
    public_key = "0x" + create_approval_key(file).hex()
    session.output.document({"public_key": public_key, "file": str(file)})
    session.output.line(public_key)


def verify(
    context: typer.Context,
    file: Annotated[
        Path,
        typer.Argument(metavar="FILE", help="What `audit show --json` or `approvals show --json` has printed."),
    ],
    key: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=HEX", help="An approver's public key; without any, those of the configuration."),
    ] = None,
    approval: Annotated[
        str | None,
        typer.Option(metavar="ID", help="Only what is said of this one, or cannot be read; without, everything."),
    ] = None,
) -> int:
    """Verify approvers' signed statements, without a signer. Exit code 1 where one does not verify, or there is none.

    For example:

    - `holdfast approvals verify audit.json --key ann=0x8a88e3dd7409f195...`
    - `holdfast approvals verify audit.json --approval ID --config holdfast.yaml`
    """
    session = session_of(context)
    keys = _named_keys(key) if key else _configured_keys(session)
    try:
        found = find_statements(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UsageFault(
            f"{file} is no JSON: {error}", remedy="give it what `audit show --json` has printed"
        ) from error
    verified = [verify_statement(each, keys) for each in found]
    if approval is not None:
        wanted = _approval_id(approval)
        verified = [each for each in verified if each.approval in (wanted, "")]
    session.output.document({"statements": [_told(each) for each in verified]})
    for each in verified:
        session.output.line(_line(each))
    if not verified:
        session.output.notice(f"{file} holds no signed statement{f' about {approval}' if approval else ''}")
    return 0 if verified and not any(each.fault for each in verified) else EXIT_REFUSED


def _client(session: Session) -> ApprovalClient:
    connection = session.find_connection()
    if connection is None:
        raise UsageFault(
            "no signer runs here, and people are asked by one that runs",
            remedy="start it (`holdfast serve`), or name one with --endpoint",
        )
    return ApprovalClient(connection)


def _decide(session: Session, approval: str, decision: Decision, how: _How) -> int:
    wanted, key, name = how.request_hash, how.key, how.name
    if (key is None) is not (name is None):
        raise UsageFault("--key and --as go together", remedy="name your key's file, and yourself as the signer does")
    client = _client(session)
    shown = client.show(approval)
    if wanted is None:
        if session.output.as_json or not session.output.on_terminal:
            raise UsageFault(
                "there is nobody to ask: this is not a terminal, or --json was given",
                remedy=f"look at it with `holdfast approvals show {approval}`, and add --request-hash"
                f" {shown['request_hash']}",
            )
        _tell(session, shown)
        if not typer.confirm(f"{decision} this request?", default=False):
            return EXIT_REFUSED
    elif wanted != shown["request_hash"]:
        raise UsageFault(
            f"the request's hash is {shown['request_hash']}: it is not what you have looked at",
            remedy="look at it again with `holdfast approvals show`",
        )
    signed = None
    if key is not None and name is not None:
        signed = sign_shown(shown, decision, approver=name, time=int(time.time()), key=read_approval_key(key))
    after = client.vote(shown, decision, signed)
    session.output.document(dict(after))
    session.output.line(f"{after['approval']} is {after['state']}{_missing_words(after)}")
    return 0


def _tell(session: Session, shown: Shown) -> None:
    session.output.document(dict(shown))
    rows = [
        ("approval", shown["approval"]),
        ("state", shown["state"] + _missing_words(shown)),
        *((("because", shown["reason"]),) if shown["reason"] else ()),
        ("type", shown["type"]),
        ("asked by", shown["requester"]),
        ("public key", shown["public_key"] or ""),
        ("signing root", shown["signing_root"] or ""),
        ("request hash", shown["request_hash"]),
        ("opened", _moment(shown["opened_ms"])),
        ("until", _moment(shown["expires_ms"])),
        ("ready", _moment(shown["ready_ms"])),
        *(("demanded", _demand_words(each)) for each in shown["demands"]),
        *((vote["decision"], f"{vote['approver']} {_moment(vote['time_ms'])}") for vote in shown["votes"]),
        *_facts_rows(shown),
    ]
    session.output.table(("", ""), rows)


def _facts_rows(shown: Shown) -> list[tuple[str, str]]:
    """What would be signed, or changed: each line with what it is about."""
    facts, changes = shown["facts"], []
    if shown["kind"] == "policy_change":
        changes = [("would change", change_words(each)) for each in facts.get("changes", ())]
        facts = {name: value for name, value in facts.items() if name != "changes"}
    return [*changes, *((f"fact {name}", value) for name, value in flat_facts(facts))]


def flat_facts(facts: Any, path: str = "") -> list[tuple[str, str]]:
    """The facts as lines, by their paths: `duty.epoch`, `300000`."""
    if isinstance(facts, dict):
        return [line for name, value in facts.items() for line in flat_facts(value, f"{path}.{name}" if path else name)]
    if isinstance(facts, list) and facts:
        return [line for n, value in enumerate(facts) for line in flat_facts(value, f"{path}[{n}]")]
    return [(path, facts if isinstance(facts, str) else json.dumps(facts))]


def _row(shown: Shown) -> Sequence[str]:
    missing = _missing_words(shown).removeprefix(": ")
    return shown["approval"], shown["state"], shown["type"], shown["requester"], missing, _moment(shown["expires_ms"])


def _demand_words(demand: Any) -> str:
    by = ", ".join(demand["approved_by"]) or "nobody yet"
    delay = f", then {demand['delay_seconds']} s" if demand["delay_seconds"] else ""
    return f"{demand['policy']}: {demand['quorum']} of {', '.join(demand['groups'])}{delay}; approved by {by}"


def _missing_words(shown: Shown) -> str:
    missing = [
        f"{counted(each['missing'], 'more approval')} from members of {' or '.join(each['groups'])}"
        for each in shown["demands"]
        if each["missing"]
    ]
    return ": " + "; ".join(missing) if missing and shown["state"] == "waiting" else ""


def _moment(milliseconds: int | None) -> str:
    if milliseconds is None:
        return ""
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _named_keys(words: Sequence[str]) -> dict[str, bytes]:
    keys: dict[str, bytes] = {}
    for word in words:
        name, _, text = word.partition("=")
        try:
            keys[name] = bytes.fromhex(text.removeprefix("0x"))
        except ValueError:
            raise UsageFault(f"--key {word} is no key", remedy="write NAME=HEX, 64 digits") from None
    return keys


def _approval_id(word: str) -> str:
    wanted = word.lower()
    if not re.fullmatch(r"[0-9a-f]{32}", wanted):
        raise UsageFault(
            f"{word!r} is no approval", remedy="write its 32 digits, as `holdfast approvals list` shows them"
        )
    return wanted


def _configured_keys(session: Session) -> dict[str, bytes]:
    principals = session.load_config(files_must_exist=False).security.principals
    return {each.name: each.approval_key for each in principals if each.approval_key is not None}


def _told(verified: Verified) -> dict[str, Any]:
    said = verified.said
    about = {} if said is None else {name: getattr(said, name) for name in said.__struct_fields__}
    return {**about, "verifies": not verified.fault, "fault": verified.fault or None}


def _line(verified: Verified) -> str:
    said = verified.said
    if said is None:
        return f"FORGED\t{verified.fault}"
    words = f"{said.approver}\t{said.decision}\t{said.approval}\t{_moment(said.time * 1000)}"
    return f"verifies\t{words}" if not verified.fault else f"DOES NOT VERIFY\t{words}\t{verified.fault}"
