"""`holdfast policy publish|activate|rollback|retire|bind|unbind|shadow`: which policies a signer goes by."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from signer.cli.author_key import read_author_key
from signer.cli.case_trial import try_before_publishing
from signer.cli.commands.context import session_of
from signer.cli.commands.policy_authoring import PACK_SUFFIX, SIGNATURE_SUFFIX
from signer.cli.policy_service import PolicyService
from signer.cli.policy_target import find_target
from signer.cli.problem import UsageFault
from signer.cli.remote_service import RemoteService
from signer.cli.session import Session
from signer.counted import counted
from signer.crypto.ed25519 import SIGNATURE_BYTES
from signer.durable import read_regular
from signer.errors import MalformedRequestError, SignerError
from signer.operations.policy_orders import (
    ActivatePolicy,
    BindPolicy,
    PolicyOrder,
    PolicyOrdered,
    PublishPolicy,
    RetirePolicy,
    RollBackAll,
    RollBackPolicy,
    ShadowPolicy,
    UnbindPolicy,
)
from signer.policy.bindings import Binding, Target, ToKey, ToTag
from signer.policy.pack import write_pack
from signer.policy.target_words import parse_target

IfRevisionOption = Annotated[
    int | None,
    typer.Option(
        "--if-revision", metavar="N", min=0, help="Only if this revision holds still: the one that you looked at."
    ),
]
NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="The policy's name.")]
TargetsArgument = Annotated[
    list[str],
    typer.Argument(
        metavar="WHERE...",
        help="key:0x..., tag:NAME, namespace:NAME, caller:NAME, or caller+key:NAME:0x...",
    ),
]

OFF = "off"
"""In the place of a version: none."""

SHORT_DIGITS = 12
"""Of a version, where people read it."""

_VERSION = re.compile(r"\b[0-9a-f]{64}\b")
"""Keys have 0x before their digits."""

SHORTEST_PREFIX = 8
"""Digits of a version that are enough where no other begins with them."""


def add_to(group: typer.Typer) -> None:
    """Add the commands."""
    for command in (publish, activate, rollback, retire, bind, unbind, shadow):
        group.command(command.__name__)(command)


def publish(
    context: typer.Context,
    policy: Annotated[Path, typer.Argument(metavar="POLICY", help="A pack (NAME.policy), or the folder of a policy.")],
    *,
    signature: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Its signature; NAME.policy.sig beside the pack is found by itself."),
    ] = None,
    signed_by: Annotated[
        str | None,
        typer.Option(
            metavar="KEY",
            help="Whose signature: 0x and 64 digits, or a PEM file; may be left out where the signer trusts it.",
        ),
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Of a folder: publish nothing where a case fails, or where there is none.")
    ] = False,
    if_revision: IfRevisionOption = None,
) -> None:
    """Put a policy on record. It decides nothing until `holdfast policy activate`.

    A pack that does not load is refused with the reason; so is one without the signature of a trusted key, where the
    signer trusts any (`holdfast policy trust`). Of a folder the cases are asked first, here: those that fail are named
    on standard error, and it is published all the same unless --strict is given. A pack holds no cases.

    For example:

    - `holdfast policy publish treasury/treasury.policy --config holdfast.yaml`
    - `holdfast policy publish treasury --strict --config holdfast.yaml`
    """
    session = session_of(context)
    target = find_target(policy)
    try_before_publishing(target, strict=strict, output=session.output)
    text = write_pack(target.pack)
    found = signature or _signature_beside(policy, target.pack.manifest.name)
    signed = b"" if found is None else read_regular(found, limit_bytes=SIGNATURE_BYTES)
    signer = read_author_key(signed_by).hex() if signed_by else ""
    order = PublishPolicy(pack=text, signature=signed, signed_by=signer, if_revision=if_revision)
    name = target.pack.manifest.name
    give(session, order, follow=f"it is staged: `holdfast policy activate {name}` lets it decide")


def activate(
    context: typer.Context,
    name: NameArgument,
    version: Annotated[
        str, typer.Argument(metavar="VERSION", help="Another published version than the one that is staged.")
    ] = "",
    *,
    if_revision: IfRevisionOption = None,
) -> None:
    """Let the staged version of a policy decide, or a version that is named by its first digits.

    It holds for every signer on this record from the next signature on. The version that decided until now can be had
    back with `holdfast policy rollback`.

    For example:

    - `holdfast policy activate treasury --config holdfast.yaml`
    """
    session = session_of(context)
    with session.service() as service:
        full = find_version(service.policies, name, version)
        ordered = service.policies.order(ActivatePolicy(name=name, version=full, if_revision=if_revision))
    show_ordered(session, ordered)


def rollback(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The policy's name.")] = "",
    version: Annotated[
        str, typer.Argument(metavar="VERSION", help="A former version, by its first digits; the last one if none.")
    ] = "",
    *,
    to_revision: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=0,
            help="Instead of one policy, everything: versions, bindings, lists and trusted keys as they were at this"
            " revision (`holdfast policy status`).",
        ),
    ] = None,
    if_revision: IfRevisionOption = None,
) -> None:
    """Let a former version of a policy decide again, or everything be as it was at a revision.

    The version that is rolled back from stays on record, staged where nothing else is.

    For example:

    - `holdfast policy rollback treasury --config holdfast.yaml`
    - `holdfast policy rollback --to-revision 7 --config holdfast.yaml`
    """
    session = session_of(context)
    if (to_revision is None) is not bool(name):
        raise UsageFault(
            "one policy or a revision is needed, and not both", remedy="name a policy, or give --to-revision N alone"
        )
    with session.service() as service:
        order: PolicyOrder
        if to_revision is not None:
            order = RollBackAll(revision=to_revision, if_revision=if_revision)
        else:
            full = find_version(service.policies, name, version)
            order = RollBackPolicy(name=name, version=full, if_revision=if_revision)
        ordered = service.policies.order(order)
    show_ordered(session, ordered)


def retire(context: typer.Context, name: NameArgument, *, if_revision: IfRevisionOption = None) -> None:
    """Take a policy out of use. Refused while it is bound anywhere; its packs stay on record.

    For example:

    - `holdfast policy retire treasury --config holdfast.yaml`
    """
    give(session_of(context), RetirePolicy(name=name, if_revision=if_revision))


def bind(
    context: typer.Context, name: NameArgument, where: TargetsArgument, *, if_revision: IfRevisionOption = None
) -> None:
    """Let a policy have a say: in what a key signs, or keys with a tag, or in what a caller asks for.

    Every policy that is bound to a request has a say, and one denial is enough. Each place is an order of its own. A
    running signer also tells of a key that it does not have, and of a tag that none of its keys bears.

    For example:

    - `holdfast policy bind staking tag:lido --config holdfast.yaml`
    - `holdfast policy bind treasury caller:payroll key:0x93247f22... --config holdfast.yaml`
    """
    _at_each(
        session_of(context),
        where,
        lambda to, at: BindPolicy(binding=Binding(name, to), if_revision=at),
        if_revision,
        tells_idle=True,
    )


def unbind(
    context: typer.Context, name: NameArgument, where: TargetsArgument, *, if_revision: IfRevisionOption = None
) -> None:
    """Let a policy have no say there any more. Where none is left, the namespace's default decides.

    For example:

    - `holdfast policy unbind staking tag:lido --config holdfast.yaml`
    """
    _at_each(
        session_of(context), where, lambda to, at: UnbindPolicy(binding=Binding(name, to), if_revision=at), if_revision
    )


def shadow(
    context: typer.Context,
    name: NameArgument,
    version: Annotated[str, typer.Argument(metavar="VERSION|off", help="A published version, by its first digits.")],
    *,
    if_revision: IfRevisionOption = None,
) -> None:
    """Run a version beside the one that decides: it decides nothing, and where it would differ is counted and logged.

    For example:

    - `holdfast policy shadow treasury 3fa94c1d --config holdfast.yaml`
    - `holdfast policy shadow treasury off --config holdfast.yaml`
    """
    session = session_of(context)
    with session.service() as service:
        full = "" if version == OFF else find_version(service.policies, name, version)
        ordered = service.policies.order(ShadowPolicy(name=name, version=full, if_revision=if_revision))
    show_ordered(session, ordered)


def give(session: Session, order: PolicyOrder, *, follow: str = "") -> None:
    """Have one order carried out, and show what became of it. `follow`: what is done next."""
    with session.service() as service, session.output.progress("asking the signer"):
        ordered = service.policies.order(order)
    show_ordered(session, ordered)
    if follow and ordered.status == "done":
        session.output.notice(follow)


def show_ordered(session: Session, ordered: PolicyOrdered) -> None:
    """What became of an order."""
    session.output.document(msgspec.to_builtins(ordered))
    was_so = "" if ordered.status == "done" else " (was so before)"
    session.output.line(f"{short_versions(ordered.change)}{was_so}")
    session.output.line(f"revision {ordered.revision} holds")


def short_versions(change: str) -> str:
    """What was changed, for people: of each version the first digits. `--json` and the audit log have all of them."""
    return _VERSION.sub(lambda found: found[0][:SHORT_DIGITS], change)


def find_version(service: PolicyService, name: str, digits: str) -> str:
    """The published version that begins with these digits; empty for none. Raises UsageFault, UnknownPolicyError."""
    if len(digits) in (0, 64):
        return digits.lower()
    known = [each["version"] for each in service.policy(name)["published"]]
    found = [each for each in known if each.startswith(digits.lower())]
    if len(digits) < SHORTEST_PREFIX or len(found) != 1:
        raise UsageFault(
            f"{digits!r} names {counted(len(found), 'published version')} of {name}",
            remedy=f"give at least {SHORTEST_PREFIX} digits of one: `holdfast policy show {name}`",
        )
    return str(found[0])


def _at_each(
    session: Session,
    where: Sequence[str],
    make: Callable[[Target, int | None], PolicyOrder],
    if_revision: int | None,
    *,
    tells_idle: bool = False,
) -> None:
    """One order for each place; `if_revision` follows the revisions that they make."""
    try:
        targets = [parse_target(words) for words in where]
    except MalformedRequestError as error:
        raise UsageFault(error.sentence, remedy="see `holdfast policy bind --help`") from error
    done = list[PolicyOrdered]()
    with session.service() as service, session.output.progress("asking the signer"):
        for target in targets:
            done.append(service.policies.order(make(target, if_revision)))
            if_revision = None if if_revision is None else done[-1].revision
        # Without a server no keys are loaded, so nobody knows which ones there are.
        idle = _idle(service, targets) if tells_idle and isinstance(service, RemoteService) else []
    session.output.document({"orders": [msgspec.to_builtins(each) for each in done]})
    for each in done:
        session.output.line(f"{short_versions(each.change)}{'' if each.status == 'done' else ' (was so before)'}")
    session.output.line(f"revision {done[-1].revision} holds")
    for words in idle:
        session.output.notice(words)


def _idle(server: RemoteService, targets: Sequence[Target]) -> list[str]:
    """Of each place that no key is in yet, a sentence that says so; nothing where the caller may not see keys."""
    if not any(isinstance(each, ToKey | ToTag) for each in targets):
        return []
    try:
        keys = server.keys()
    except SignerError:
        return []  # the orders are carried out all the same
    tags, known = {tag for key in keys for tag in key.tags}, {key.public_key for key in keys}
    told = []
    for each in targets:
        match each:
            case ToTag(tag) if tag not in tags:
                remedy = f"`holdfast keys tag KEY --add {tag}` gives a key this tag"
                told.append(f"no key here bears {tag}: it has a say in nothing yet. {remedy}")
            case ToKey(key_id) if key_id not in known:
                told.append(f"no key here is {key_id}: it has a say in nothing yet. `holdfast keys list` shows them")
    return told


def _signature_beside(policy: Path, name: str) -> Path | None:
    pack = policy / (name + PACK_SUFFIX) if policy.is_dir() else policy
    beside = pack.with_name(pack.name + SIGNATURE_SUFFIX)
    return beside if beside.exists() else None
