"""`holdfast config`: the configuration as it is, its faults, every key there is, and Web3Signer's turned into ours."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from signer.cli.commands.context import session_of
from signer.cli.problem import EXIT_USAGE
from signer.config.fault import Fault
from signer.config.from_web3signer import convert
from signer.config.production import find_faults, find_warnings
from signer.config.reference import key_references, render_example, render_text
from signer.config.show import show as shown_values
from signer.config.text_file import read_text
from signer.config.tls_checks import find_tls_faults
from signer.durable import write_durably
from signer.errors import ConfigError


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="The configuration.", no_args_is_help=True)
    group.command()(show)
    group.command()(check)
    group.command()(reference)
    group.command("from-web3signer")(from_web3signer)
    app.add_typer(group, name="config")


def show(context: typer.Context) -> None:
    """Every key with the value it has, and who set it. Secrets show stars.

    For example:

    - `holdfast config show --config holdfast.yaml --set server.port=9100`
    """
    session = session_of(context)
    lines = shown_values(session.load_config(files_must_exist=False))
    session.output.document({"values": [asdict(line) for line in lines]})
    session.output.table(("key", "value", "set by"), [(line.key, line.value, line.source) for line in lines])


def check(context: typer.Context) -> int:
    """Would the signer start with this configuration? Exit code 2 when not, and what to change.

    A key that is unknown, has a wrong value or contradicts another is told alone, the first of them; what production
    refuses is told all at once. Disk, database, keys and clock are `holdfast doctor`'s to look at.

    For example:

    - `holdfast config check --config holdfast.yaml`
    """
    session = session_of(context)
    config = session.load_config()
    faults = (*find_faults(config), *find_tls_faults(config))
    warnings = find_warnings(config)
    session.output.document(
        {"ok": not faults, "faults": [asdict(each) for each in faults], "warnings": [asdict(each) for each in warnings]}
    )
    for word, style, found in (("fault", "bold red", faults), ("warning", "yellow", warnings)):
        for each in found:
            session.output.line(_words(word, each), style=style)
    if not faults:
        session.output.line(f"{config.file or 'no file'}, preset {config.preset}: nothing stops the start")
    return EXIT_USAGE if faults else 0


def reference(
    context: typer.Context,
    *,
    example: Annotated[bool, typer.Option("--example", help="As a configuration file to begin with.")] = False,
) -> None:
    """Every key there is, with unit, default and reason.

    For example:

    - `holdfast config reference | less`
    - `holdfast config reference --example > holdfast.yaml`
    """
    session = session_of(context)
    session.output.document({"keys": [asdict(each) for each in key_references()]})
    session.output.line(render_example() if example else render_text())


def from_web3signer(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="Web3Signer's YAML configuration.")],
    *,
    to: Annotated[Path | None, typer.Option("--to", metavar="FILE", help="Where to write ours.")] = None,
) -> None:
    """Turn a Web3Signer configuration, and its WEB3SIGNER_* variables, into ours.

    What could not be carried over is told on standard error, each with its reason.

    For example:

    - `holdfast config from-web3signer web3signer.yaml --to holdfast.yaml`
    """
    session = session_of(context)
    remedy = "name its YAML file (--config-file of Web3Signer)"
    text = read_text(file, subject="Web3Signer's configuration", remedy=remedy)
    conversion = convert(text, session.environ, name=str(file))
    if to is not None:
        _refuse_to_overwrite(to)
        write_durably(to, conversion.yaml_text.encode(), private=True)
    session.output.document(
        {
            "configuration": conversion.yaml_text,
            "not_carried": [asdict(each) for each in conversion.not_carried],
            "remarks": list(conversion.remarks),
        }
    )
    session.output.line(f"{to} is written" if to else conversion.yaml_text.rstrip("\n"))
    if not session.output.as_json:
        for each in conversion.not_carried:
            session.output.notice(f"not carried over: {each.option} ({each.where}): {each.reason}")
        for remark in conversion.remarks:
            session.output.notice(f"note: {remark}")


def _refuse_to_overwrite(to: Path) -> None:
    if to.exists():
        raise ConfigError(
            f"{to} is there already, and is not overwritten",
            where="command line",
            key="--to",
            remedy="name another file, or move this one away",
        )


def _words(word: str, found: Fault) -> str:
    return f"{word}: {found.sentence}\n  where: {found.where}\n  key: {found.key}\n  remedy: {found.remedy}"
