"""`holdfast freeze` and `holdfast thaw`: stop signing with a key at once, and let it sign again."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated

import typer

from signer.cli.answers import FrozenKeys, OrderedKey
from signer.cli.commands.context import session_of
from signer.cli.problem import EXIT_REFUSED, UsageFault
from signer.cli.service import Service
from signer.cli.session import Session
from signer.errors import MalformedRequestError, SignerError
from signer.operations.freeze_keys import ALL, TAG, parse_targets

KeysArgument = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="KEY|tag:NAME...|all",
        help="Public keys; tags, for all keys that bear them now or get them later; or `all`: every key, those that are"
        " loaded later too.",
    ),
]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("freeze")(freeze)
    app.command("thaw")(thaw)


def freeze(context: typer.Context, keys: KeysArgument = None) -> None:
    """Sign nothing with these keys from now on: not a vote, not a block, nothing.

    It holds for every signer on this record at once, and across restarts, until `holdfast thaw`. Without a key it shows
    what is frozen.

    For example:

    - `holdfast freeze all --config holdfast.yaml`
    - `holdfast freeze tag:lido --config holdfast.yaml`
    - `holdfast freeze 0x93247f22... --endpoint https://signer:9000 --token-file token --ca ca.pem`
    """
    session = session_of(context)
    wanted = _wanted(keys or ()) if keys else ()
    with session.service() as service, session.output.progress("freezing"):
        done = service.freeze(wanted) if wanted else []
        frozen = service.frozen()
        warning = _not_loaded(service, done)
    if warning:
        session.output.notice(warning)
    for group in frozen.tags:
        if group.keys == 0 and TAG + group.tag in wanted:
            session.output.notice(
                f"WARNING: no key bears tag:{group.tag} now, so this stops no key. It holds for keys that get the"
                " tag later; `holdfast keys list` shows the keys and their tags"
            )
    _show(session, done, frozen)


def thaw(context: typer.Context, keys: KeysArgument = None) -> int:
    """Let these keys sign again.

    Each freeze is ended by its own name: `thaw all` ends `freeze all`, `thaw tag:NAME` ends `freeze tag:NAME`, and a
    key that was frozen by its public key stays frozen until it is thawed by it. Exit code 1 where a named key is still
    frozen by something else: that is told.

    For example:

    - `holdfast thaw all --config holdfast.yaml`
    """
    session = session_of(context)
    if not keys:
        raise UsageFault("no key is named", remedy="name keys, tags, or `all`; `holdfast freeze` shows what is frozen")
    wanted = _wanted(keys)
    with session.service() as service, session.output.progress("thawing"):
        done = service.thaw(wanted)
        frozen = service.frozen()
    _show(session, done, frozen)
    return EXIT_REFUSED if any(each.message for each in done) else 0


def _wanted(keys: Sequence[str]) -> Sequence[str]:
    """The words, once they are known to be keys: a mistake is told before anybody is asked."""
    try:
        parse_targets(keys)
    except MalformedRequestError as error:
        raise UsageFault(error.sentence, remedy="`holdfast keys list` shows the keys and their tags") from error
    return keys


def _not_loaded(service: Service, done: Sequence[OrderedKey]) -> str:
    """What to tell of frozen public keys that are not loaded here; nothing where the caller may not ask.

    Without a running signer none is loaded, and none is for this: a freeze does not wait until keystores are decrypted.
    """
    named = [each.public_key for each in done if each.public_key != ALL and not each.public_key.startswith(TAG)]
    if not named:
        return ""
    try:
        listed = service.keys()
    except SignerError:
        return ""
    loaded = {each.public_key for each in listed}
    strangers = ", ".join(key for key in named if key not in loaded)
    if not strangers:
        return ""
    look = "check for a typing error: `holdfast keys list` shows the keys"
    if not loaded:
        return f"WARNING: no key is loaded here now, so nobody can say whether a signer holds {strangers}; {look}"
    return f"WARNING: no signer here holds {strangers}: it is frozen for whoever loads it on this record; {look}"


def _show(session: Session, done: Sequence[OrderedKey], frozen: FrozenKeys) -> None:
    session.output.document({"keys": [asdict(each) for each in done], "frozen": asdict(frozen)})
    session.output.table(("status", "public key", ""), [(each.status, each.public_key, each.message) for each in done])
    if frozen.all_since_ms is not None:
        session.output.line(f"Every key is frozen since {_moment(frozen.all_since_ms)}: nothing is signed.")
    for key in frozen.keys:
        session.output.line(f"{key.public_key} is frozen since {_moment(key.since_ms)}.")
    for group in frozen.tags:
        session.output.line(f"tag:{group.tag} is frozen since {_moment(group.since_ms)}: {group.keys} keys bear it.")
    if frozen.all_since_ms is None and not frozen.keys and not frozen.tags:
        session.output.line("Nothing is frozen.")


def _moment(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
