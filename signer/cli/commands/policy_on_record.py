"""`holdfast policy list|show|status|lists|trust|guard|keep-facts|who-can`: what holds, and what policies may ask."""

from pathlib import Path
from typing import Annotated, Any

import typer

from signer.cli.author_key import read_author_key
from signer.cli.commands.context import session_of
from signer.cli.commands.policy_serving import SHORT_DIGITS, IfRevisionOption, NameArgument, give, short_versions
from signer.cli.problem import UsageFault
from signer.cli.session import Session
from signer.durable import read_regular
from signer.errors import MalformedRequestError
from signer.operations.freeze_keys import parse_public_key
from signer.operations.policy_orders import ChangeList, GuardChanges, KeepFacts, TrustKey
from signer.policy.policy_set import ChangeGuard

MAX_LIST_BYTES = 4 << 20
"""Of a file with a list: some twenty thousand items."""


def add_to(group: typer.Typer) -> None:
    """Add the commands."""
    group.command("list")(list_policies)
    for command in (show, status, lists, trust, guard):
        group.command(command.__name__)(command)
    group.command("keep-facts")(keep_facts)
    group.command("who-can")(who_can)


def list_policies(context: typer.Context) -> None:
    """Show the policies on record: which version decides, which one is staged, and where each has a say.

    For example:

    - `holdfast policy list --config holdfast.yaml`
    """
    session = session_of(context)
    with session.service() as service:
        told = service.policies.policies()
    session.output.document(told)
    if not told["policies"]:
        session.output.line("No policy is on record: what is signed is decided by defaults (`policy.unbound_duties`).")
    rows = [
        (
            each["name"],
            short(each["version"]),
            short(each["staged"]),
            short(each["shadow"]),
            " ".join(each["bound_to"]) or "nowhere",
        )
        for each in told["policies"]
    ]
    if rows:
        session.output.headed_table(("policy", "decides", "staged", "shadow", "bound to"), rows)
    session.output.line(f"revision {told['revision']} holds")


def show(context: typer.Context, name: NameArgument) -> None:
    """Show one policy: what it is, what it may ask, every version that was published, and who signed it.

    For example:

    - `holdfast policy show treasury --config holdfast.yaml`
    """
    session = session_of(context)
    with session.service() as service:
        told = service.policies.policy(name)
    session.output.document(told)
    line = session.output.line
    manifest = told["manifest"]
    if manifest is not None:
        line(f"{told['name']}: {manifest['description'] or manifest['kind']}")
        for what in ("functions", "counters", "lists"):
            if manifest[what]:
                line(f"may ask {what}: {' '.join(manifest[what])}")
    line(f"decides: {told['version'] or 'none'}")
    line(f"staged: {told['staged'] or 'none'}")
    line(f"shadow: {told['shadow'] or 'none'}")
    line(f"bound to: {' '.join(told['bound_to']) or 'nowhere'}")
    rows = [
        (each["version"], each["published_at"], each["published_by"], _signer(each["signed_by"]))
        for each in told["published"]
    ]
    session.output.headed_table(("version", "published", "by", "signed by"), rows)


def status(
    context: typer.Context,
    *,
    last: Annotated[int, typer.Option(min=1, max=500, help="Changes that are shown, the newest.")] = 20,
) -> None:
    """Show how what holds came to be: every change with its revision, newest first.

    Of versions that run beside the live ones (`holdfast policy shadow`) it shows how many requests both have decided
    since the signer was started, and how many of those differently.

    For example:

    - `holdfast policy status --config holdfast.yaml`
    """
    session = session_of(context)
    with session.service() as service:
        told = service.policies.policies()
        changes = service.policies.history(limit=last)["changes"]
        shadows = service.policies.shadows()["shadows"]
    session.output.document({**told, "changes": changes, "shadows": shadows})
    line = session.output.line
    line(f"revision {told['revision']} holds, {told['digest'][: 2 + SHORT_DIGITS]}")
    line(f"trusted keys: {' '.join('0x' + key for key in told['trusted_keys']) or 'none: packs need no signature'}")
    line(f"facts are kept of: {' '.join(told['keeps_facts']) or 'nothing'}")
    if told["guard"] is not None:
        guard = told["guard"]
        line(f"changes wait for {guard['quorum']} of {' '.join(guard['groups'])}")
    for each in shadows:
        beside = f"{short(each['version'])} runs beside {each['policy']}" if each["version"] else each["policy"]
        differ = "differs" if each["differences"] == 1 else "differ"
        line(f"shadow: {beside}: {each['comparisons']} compared since the start, {each['differences']} {differ}")
    rows = [(str(each["revision"]), each["at"], each["by"], short_versions(each["change"])) for each in changes]
    session.output.headed_table(("revision", "at", "by", "change"), rows)


def lists(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The list; all of them if none.")] = "",
    *,
    file: Annotated[
        Path | None, typer.Option("--from", metavar="FILE", help="Hold exactly the lines of this file from now on.")
    ] = None,
    add: Annotated[list[str] | None, typer.Option(metavar="ITEM", help="One more; may be given several times.")] = None,
    remove: Annotated[
        list[str] | None, typer.Option(metavar="ITEM", help="One less; may be given several times.")
    ] = None,
    drop: Annotated[bool, typer.Option("--drop", help="Remove the list: it holds nothing then.")] = False,
    if_revision: IfRevisionOption = None,
) -> None:
    """Show the lists that policies may ask, or say what one holds.

    Items are compared as they are written, letter by letter: policies are told addresses with small letters. In a file
    every line is an item; empty lines, and those that begin with #, are none.

    For example:

    - `holdfast policy lists --config holdfast.yaml`
    - `holdfast policy lists receivers --from receivers.txt --config holdfast.yaml`
    - `holdfast policy lists receivers --add 0xa1a1... --config holdfast.yaml`
    """
    session = session_of(context)
    given = [bool(add), bool(remove), file is not None, drop]
    if sum(given) > 1:
        raise UsageFault("one change at a time", remedy="give --from, --add, --remove or --drop")
    if sum(given) and not name:
        raise UsageFault("no list is named", remedy="name it: holdfast policy lists NAME ...")
    if add:
        give(session, ChangeList(name=name, change="add", items=tuple(add), if_revision=if_revision))
    elif remove:
        give(session, ChangeList(name=name, change="remove", items=tuple(remove), if_revision=if_revision))
    elif file is not None:
        give(session, ChangeList(name=name, change="set", items=_items_of(file), if_revision=if_revision))
    elif drop:
        give(session, ChangeList(name=name, change="drop", if_revision=if_revision))
    else:
        _show_lists(session, name)


def trust(
    context: typer.Context,
    key: Annotated[str, typer.Argument(metavar="KEY", help="An Ed25519 public key: 0x and 64 digits, or a PEM file.")],
    *,
    remove: Annotated[bool, typer.Option("--remove", help="Trust it no more.")] = False,
    if_revision: IfRevisionOption = None,
) -> None:
    """Publish and activate only policies that this key, or another trusted one, has signed.

    What decides already goes on deciding. With the last key taken away, packs need no signature.

    For example:

    - `holdfast policy trust 0x3b6a27bc... --config holdfast.yaml`
    - `holdfast policy trust author.pub.pem --config holdfast.yaml`
    """
    order = TrustKey(key=read_author_key(key).hex(), trusted=not remove, if_revision=if_revision)
    give(session_of(context), order)


def guard(
    context: typer.Context,
    *,
    quorum: Annotated[int | None, typer.Option(metavar="N", min=1, max=64, help="So many people must approve.")] = None,
    group: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Whose members approve; may be given several times.")
    ] = None,
    lifetime: Annotated[int, typer.Option(metavar="SECONDS", min=1, help="How long a change waits for them.")] = 86400,
    delay: Annotated[
        int, typer.Option(metavar="SECONDS", min=0, help="From the last approval needed to the change itself.")
    ] = 0,
    off: Annotated[bool, typer.Option("--off", help="Let changes wait for nobody any more.")] = False,
    if_revision: IfRevisionOption = None,
) -> None:
    """Let every change of policies but `publish` wait for the approval of people; taking the guard away waits too.

    An order is then refused with APPROVAL_REQUIRED and the id of what waits. When it is approved (`holdfast approvals
    approve`), whoever gave the order gives the very same order again.

    For example:

    - `holdfast policy guard --quorum 2 --group owners --config holdfast.yaml`
    - `holdfast policy guard --off --config holdfast.yaml`
    """
    session = session_of(context)
    if off is (quorum is not None or bool(group)):
        raise UsageFault("a quorum and its groups are needed, or --off", remedy="give --quorum N --group NAME")
    if off:
        give(session, GuardChanges(if_revision=if_revision))
        return
    if quorum is None or not group:
        raise UsageFault("a quorum and its groups are needed", remedy="give --quorum N --group NAME")
    wanted = ChangeGuard(quorum, tuple(sorted(set(group))), lifetime, delay)
    give(session, GuardChanges(guard=wanted, if_revision=if_revision))


def keep_facts(
    context: typer.Context,
    namespaces: Annotated[
        list[str] | None,
        typer.Argument(metavar="NAMESPACE...", help="Whose decisions are kept; * for all; none for no more."),
    ] = None,
    *,
    if_revision: IfRevisionOption = None,
) -> None:
    """Keep the facts of decisions in these namespaces, and in no others, so that they can be replayed.

    For example:

    - `holdfast policy keep-facts default --config holdfast.yaml`
    - `holdfast policy keep-facts --config holdfast.yaml`
    """
    give(session_of(context), KeepFacts(namespaces=tuple(namespaces or ()), if_revision=if_revision))


def who_can(
    context: typer.Context,
    key: Annotated[str, typer.Argument(metavar="KEY", help="A public key.")],
    action: Annotated[
        str, typer.Argument(metavar="ACTION", help="sign:duty, keys:freeze, ..., or a signing type: BLOCK_V2.")
    ],
) -> None:
    """Show who may do something with a key, and which policies have a say in it.

    What a policy would say of a single request is another question: `holdfast policy eval`.

    For example:

    - `holdfast policy who-can 0x93247f22... VOLUNTARY_EXIT --config holdfast.yaml`
    """
    session = session_of(context)
    try:
        parse_public_key(key)
    except MalformedRequestError as error:
        raise UsageFault(error.sentence, remedy="`holdfast keys list` shows the keys") from error
    with session.service() as service:
        told = service.policies.who_can(key, action)
    session.output.document(told)
    rows = [(each["principal"], "may" if each["may"] else "may not", _say(each, told)) for each in told["principals"]]
    session.output.headed_table(("principal", "grants", "who has a say, or why not"), rows)


def short(version: str | None) -> str:
    """The first digits of a version, for people."""
    return "none" if version is None else version[:SHORT_DIGITS]


def _signer(key: str | None) -> str:
    return "nobody" if key is None else "0x" + key


def _say(answer: dict[str, Any], told: Any) -> str:
    if not answer["may"]:
        return str(answer["reason"])
    if answer["policies"]:
        return ", ".join(
            f"{one['policy']} {short(one['version'])} ({' '.join(one['through'])})" for one in answer["policies"]
        )
    words = {"allow": "no policy: allowed by default", "deny": "no policy: denied by default"}
    return words.get(told["unbound"], "policies have no say in it")


def _show_lists(session: Session, name: str) -> None:
    with session.service() as service:
        told = service.policies.named_list(name) if name else service.policies.policies()
    if name:
        session.output.document(told)
        for item in told["items"]:
            session.output.line(item)
        return
    session.output.document({"lists": told["lists"]})
    session.output.headed_table(("list", "items"), [(each["name"], str(each["items"])) for each in told["lists"]])


def _items_of(file: Path) -> tuple[str, ...]:
    try:
        lines = read_regular(file, limit_bytes=MAX_LIST_BYTES).decode().splitlines()
    except UnicodeDecodeError as error:
        raise UsageFault(f"{file} is not UTF-8", remedy="write one item in each line") from error
    words = (line.strip() for line in lines)
    return tuple(word for word in words if word and not word.startswith("#"))
