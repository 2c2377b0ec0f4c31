"""`holdfast policy inspect`: what a pack or a module is, and whether a signer would take it."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from signer.cli.author_key import read_author_key
from signer.cli.commands.context import session_of
from signer.cli.commands.policy_authoring import SIGNATURE_SUFFIX
from signer.cli.output import Output
from signer.cli.policy_target import MAX_PACK_BYTES
from signer.cli.problem import EXIT_REFUSED, UsageFault, error_code
from signer.crypto.ed25519 import SIGNATURE_BYTES
from signer.durable import read_regular
from signer.errors import ConfigError, PolicyModuleError
from signer.policy.module_surface import WASM_MAGIC, read_surface
from signer.policy.pack import MAGIC, Kind, Pack, is_signed_by, read_pack, version_of
from signer.policy.rules.rule import RuleFile
from signer.policy.sandbox import LoadedPolicy
from signer.policy.workbench import Workbench

_VALID = "valid"
_NOT_CHECKED = "there, and not checked: name its key with --signed-by"


def add_to(group: typer.Typer) -> None:
    """Add the command."""
    group.command("inspect")(inspect)


def inspect(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="A pack (NAME.policy) or a WebAssembly module.")],
    *,
    signed_by: Annotated[
        str | None,
        typer.Option(metavar="KEY", help="Who must have signed it: an Ed25519 public key, as a PEM file or 64 digits."),
    ] = None,
) -> int:
    """Show what a pack is and may, who signed it, and what its module imports and exports.

    Exit code 1 where no signer would take it, or where it is not signed by the key that is named.

    For example:

    - `holdfast policy inspect treasury.policy --signed-by author.pub.pem`
    - `holdfast policy inspect policy.wasm`
    """
    session = session_of(context)
    if file.is_dir():
        raise UsageFault(f"{file} is a folder", remedy="name the pack or the module in it")
    text = read_regular(file, limit_bytes=MAX_PACK_BYTES)
    if text.startswith(WASM_MAGIC):
        if signed_by is not None:
            raise UsageFault("a module alone is not signed", remedy="name the pack that it is in")
        found: dict[str, Any] = {"kind": Kind.MODULE.value, "bytes": len(text), "sha256": version_of(text)}
        found |= _surface(text) | _judged(lambda bench: {"interface": bench.check_module(text).value})
    else:
        if not text.startswith(MAGIC):
            raise UsageFault(f"{file} is neither a pack nor a WebAssembly module", remedy="name one of the two")
        pack = read_pack(text)
        found = _facts_of(pack, text)
        found["signature"] = _signature(file, text, read_author_key(signed_by) if signed_by else None)
        if pack.manifest.kind is Kind.MODULE:
            found |= _surface(pack.content)
        found |= _judged(lambda bench: _opened(bench.open(pack, name=pack.manifest.name).decider))
    session.output.document(found)
    _tell(session.output, found)
    bad = found["refused"] is not None or (signed_by is not None and found["signature"] != _VALID)
    return EXIT_REFUSED if bad else 0


def _facts_of(pack: Pack, text: bytes) -> dict[str, Any]:
    manifest = msgspec.json.decode(msgspec.json.encode(pack.manifest))
    if pack.manifest.kind is Kind.RULES:
        # Rules have no grants and no limits: a manifest names them all the same, so that it has one spelling.
        manifest = {name: manifest[name] for name in ("name", "kind", "description")}
    return {"version": version_of(text), "bytes": len(text), "content_bytes": len(pack.content), **manifest}


def _surface(module: bytes) -> dict[str, Any]:
    try:
        surface = read_surface(module)
    except PolicyModuleError:
        return {"imports": [], "exports": []}  # why it is none is told as the reason of its refusal
    return {"imports": list(surface.imports), "exports": list(surface.exports)}


def _opened(decider: RuleFile | LoadedPolicy) -> dict[str, Any]:
    match decider:
        case RuleFile(rules=rules):
            return {"rules": [f"{each.section} {each.name} ({each.where})" for each in rules]}
        case LoadedPolicy(module=module):
            return {"interface": module.interface.value}


def _judged(look: Callable[[Workbench], dict[str, Any]]) -> dict[str, Any]:
    """What is seen of a policy that a signer would take, and else the reason why none would."""
    try:
        with Workbench() as bench:
            return {**look(bench), "refused": None}
    except (PolicyModuleError, ConfigError) as error:
        return {"refused": f"{error.sentence} ({error_code(error)})"}


def _signature(file: Path, text: bytes, public_key: bytes | None) -> str:
    beside = file.with_name(file.name + SIGNATURE_SUFFIX)
    if not beside.exists():
        return "none"
    signature = read_regular(beside, limit_bytes=SIGNATURE_BYTES + 1)
    if public_key is None:
        return _NOT_CHECKED
    return _VALID if is_signed_by(text, signature, public_key) else "not valid: of another key, or of another pack"


def _tell(output: Output, found: dict[str, Any]) -> None:
    rows = []
    for name, value in found.items():
        if name == "refused":
            rows.append(("taken", "yes" if value is None else f"no: {value}"))
        elif isinstance(value, list):
            rows += [(name if n == 0 else "", each) for n, each in enumerate(value)]
        elif value != "":
            rows.append((name, str(value)))
    output.table(("what", "is"), rows)
