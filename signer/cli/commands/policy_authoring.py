"""`holdfast policy new|build`: a folder to begin with, and from its source to the pack that signers take."""

import re
import shlex
from pathlib import Path
from typing import Annotated

import typer

from signer.cli.commands.context import session_of
from signer.cli.policy_target import MAX_PACK_BYTES
from signer.cli.problem import UsageFault
from signer.crypto.ed25519 import ed25519_private_key_of_pem, ed25519_public_key
from signer.crypto.secret import Secret
from signer.durable import read_private, read_regular, write_durably
from signer.policy.building.languages import build_module
from signer.policy.folder import Folder, pack_folder, read_folder
from signer.policy.manifest_file import NAME, NAME_TEXT, Language
from signer.policy.pack import sign_pack, version_of, write_pack
from signer.policy.templates.files import template_files
from signer.policy.workbench import Workbench

PACK_SUFFIX = ".policy"
SIGNATURE_SUFFIX = ".sig"

_MAX_KEY_FILE_BYTES = 4096

FolderArgument = Annotated[Path, typer.Argument(metavar="FOLDER", help="The policy's folder; this one if none.")]


def add_to(group: typer.Typer) -> None:
    """Add the commands."""
    group.command("new")(new)
    group.command("build")(build)


def new(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="The policy's name, and its folder's.")],
    *,
    lang: Annotated[Language, typer.Option(help="What to write it in.")],
    directory: Annotated[Path, typer.Option(help="Where the folder is made.")] = Path(),
) -> None:
    """Begin a policy: a folder with a manifest, a source that decides something, and cases that it passes.

    The README in it has the next commands. Rules (yaml) need no compiler and are tested most thoroughly.

    For example:

    - `holdfast policy new treasury --lang yaml`
    - `holdfast policy new treasury --lang rust --directory policies`
    """
    session = session_of(context)
    if not re.fullmatch(NAME, name):
        raise UsageFault(f"{name!r} cannot be the name of a policy", remedy=f"write {NAME_TEXT}")
    folder = directory / name
    if folder.exists():
        raise UsageFault(f"{folder} is there already, and nothing is overwritten", remedy="choose another name")
    files = template_files(lang, name=name)
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        write_durably(folder / path, text.encode(), private=False)
    session.output.document({"folder": str(folder), "files": sorted(files)})
    for path in sorted(files):
        session.output.line(str(folder / path))
    if not session.output.as_json:
        place = shlex.quote(str(folder))
        session.output.notice(f"next: holdfast policy build {place} && holdfast policy test {place}")


def build(
    context: typer.Context,
    folder: FolderArgument = Path(),
    *,
    sign_with: Annotated[
        Path | None,
        typer.Option(metavar="KEYFILE", help="Sign the pack with this Ed25519 key (PEM), for signers that ask for it."),
    ] = None,
) -> None:
    """Build the source, check that it is a policy, and pack it with its manifest as NAME.policy.

    The pack's SHA-256 is the policy's version. The same files and the same compiler make the same pack, so anybody can
    make it again and compare. Compilers may run what a source tells them to: build what you would run.

    A key to sign with: `openssl genpkey -algorithm ed25519 -out author.pem`, mode 0600.

    For example:

    - `holdfast policy build treasury`
    - `holdfast policy build treasury --sign-with author.pem`
    """
    session = session_of(context)
    key = _signing_key(sign_with) if sign_with else None
    found = read_folder(folder)
    with session.output.progress("building"):
        said = _build(found)
    if said:
        session.output.notice(said)
    text = write_pack(pack_folder(found))
    pack = folder / (found.manifest.name + PACK_SUFFIX)
    signature = pack.with_name(pack.name + SIGNATURE_SUFFIX)
    if not pack.exists() or read_regular(pack, limit_bytes=MAX_PACK_BYTES) != text:
        # Beside another pack the earlier one's signature would only ever be refused.
        signature.unlink(missing_ok=True)
        write_durably(pack, text, private=False)
    if key is not None:
        write_durably(signature, sign_pack(text, key), private=False)
    version = version_of(text)
    signer = f"0x{ed25519_public_key(key).hex()}" if key is not None else None
    session.output.document(
        {
            "name": found.manifest.name,
            "version": version,
            "pack": str(pack),
            "bytes": len(text),
            "signature": str(signature) if key is not None else None,
            "signed_by": signer,
        }
    )
    session.output.line(f"{pack}: {len(text)} bytes")
    session.output.line(f"version {version}")
    if signer is not None:
        session.output.line(f"{signature}: signed by {signer}")


def _build(folder: Folder) -> str:
    """Build and check; what the compiler said. What is no policy is not written to where one is looked for."""
    built = build_module(folder)
    with Workbench() as bench:
        if built is None:
            bench.open(pack_folder(folder), name=str(folder.content))
            return ""
        bench.open(pack_folder(folder, content=built.module), name=str(folder.content))
    write_durably(folder.content, built.module, private=False)
    return built.said


def _signing_key(file: Path) -> Secret:
    try:
        return ed25519_private_key_of_pem(Secret(read_private(file, limit_bytes=_MAX_KEY_FILE_BYTES)))
    except ValueError as error:
        raise UsageFault(
            f"{file} holds {error}", remedy="make one: openssl genpkey -algorithm ed25519 -out author.pem"
        ) from None
