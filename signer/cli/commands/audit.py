"""`holdfast audit`: the log of every decision."""

from dataclasses import asdict, replace
from typing import Annotated

import typer

from signer.cli.commands.context import session_of
from signer.cli.problem import UsageFault
from signer.cli.service import Service
from signer.errors import MalformedRequestError
from signer.operations.read_audit import MAX_ENTRIES, AuditQuery, ToldEntry


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="The log of every decision.", no_args_is_help=True)
    group.command("show")(show)
    group.command("verify")(verify)
    app.add_typer(group, name="audit")


def show(
    context: typer.Context,
    request_id: Annotated[
        str | None,
        typer.Option(metavar="ID", help="Only the entries of this request: 16 digits, as X-Request-Id has them."),
    ] = None,
    key: Annotated[str | None, typer.Option(metavar="KEY", help="Only the entries of this public key.")] = None,
    last: Annotated[int, typer.Option(metavar="N", min=1, max=100_000, help="How many, counted from the end.")] = 20,
) -> None:
    """Show the newest entries of the audit log, the newest at the end.

    Archived entries are not shown. With a request id or a key the whole log is searched, as far back as it takes.

    For example:

    - `holdfast audit show --config holdfast.yaml --last 50`
    - `holdfast audit show --config holdfast.yaml --request-id 0123456789abcdef --json`
    """
    session = session_of(context)
    try:
        query = AuditQuery.parse(last=min(last, MAX_ENTRIES), request_id=request_id, public_key=key)
    except MalformedRequestError as error:
        raise UsageFault(error.sentence, remedy="copy it from the log line or the answer") from error
    with session.service() as service, session.output.progress("reading"):
        entries, begins = _collect(service, query, last)
    session.output.document({"entries": [asdict(entry) for entry in entries], "log_begins": begins})
    for entry in entries:
        session.output.line(_line(entry))
    if len(entries) < last and begins:
        session.output.notice(f"entries before {begins} are in the archives (audit.archive_directory)")


def verify(context: typer.Context) -> None:
    """Walk the whole audit log: every entry can be read, none is missing, and its chain of hashes holds.

    Exit code 1 at the first fault, which is told with its place.

    For example:

    - `holdfast audit verify --config holdfast.yaml`
    - `holdfast audit verify --endpoint https://signer:9000 --token-file token --ca ca.pem --json`
    """
    session = session_of(context)
    with session.service() as service, session.output.progress("verifying"):
        verified = service.verify_audit()
    session.output.document({"verified": True, **asdict(verified)})
    session.output.line(f"{verified.entries} entries verify; the head is {verified.head}")


def _collect(service: Service, query: AuditQuery, last: int) -> tuple[list[ToldEntry], int]:
    """The newest `last` entries, oldest first, and where the log begins. Each page is one short read."""
    found: list[ToldEntry] = []
    while True:
        page = service.audit_page(replace(query, last=min(last - len(found), MAX_ENTRIES)))
        found += page.entries
        if page.next_before is None or len(found) >= last:
            return found[::-1], page.log_begins
        query = replace(query, before=page.next_before)


def _line(entry: ToldEntry) -> str:
    """`INDEX TIME KIND OUTCOME` and what else there is, each with its name."""
    marks = [name for name in ("repeat", "blind") if getattr(entry, name)]
    named = {
        "code": entry.code,
        "duty": entry.duty,
        **entry.span,
        "key": entry.public_key,
        "principal": entry.principal,
        "request_id": entry.request_id,
        "root": entry.signing_root,
        "note": entry.note,
    }
    words = [str(entry.index), entry.time, entry.kind, entry.outcome, *marks]
    return " ".join([*words, *(f"{name}={value}" for name, value in named.items() if value != "")])
