"""The console command `holdfast`: global options, the commands, and what their errors look like.

Exit codes: 0 done; 1 refused or failed; 2 the command line or the configuration is at fault.
"""

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from types import ModuleType
from typing import Annotated

import typer

from signer.cli.global_options import (
    AuthorityOption,
    ClientCertificateOption,
    ClientKeyOption,
    ConfigOption,
    DataDirectoryOption,
    EndpointOption,
    GlobalOptions,
    JsonOption,
    PresetOption,
    SettingsOption,
    TokenFileOption,
    hoist,
)
from signer.cli.host import Host
from signer.cli.output import Output
from signer.cli.problem import (
    EXIT_REFUSED,
    EXIT_USAGE,
    USAGE_CODE,
    UsageFault,
    exit_code,
    problem_document,
    problem_text,
)
from signer.cli.session import Session
from signer.errors import SignerError

NAME = "holdfast"
"""The console command."""

FILE_CODE = "FILE"
"""The code of a file that the system will not read or write for us."""

_COMMANDS: Mapping[str, frozenset[str]] = {
    "serve": frozenset({"serve", "version"}),
    "set_up": frozenset({"init"}),
    "doctor": frozenset({"doctor"}),
    "configuration": frozenset({"config"}),
    "keys": frozenset({"keys"}),
    "migrate": frozenset({"migrate"}),
    "freezing": frozenset({"freeze", "thaw"}),
    "approvals": frozenset({"approvals"}),
    "slashing": frozenset({"slashing"}),
    "audit": frozenset({"audit"}),
    "policy": frozenset({"policy"}),
    "tls": frozenset({"tls"}),
}
"""The modules of `commands/`, in the order of `--help`, and the first words that they answer to."""


def run(find_host: Callable[[], Host], arguments: Sequence[str], *, environ: Mapping[str, str]) -> int:
    """Run one command line and return its exit code; every error has been told when this returns."""
    words = hoist(arguments)
    output = Output(as_json=_wants_json(words))
    command = typer.main.get_command(build(find_host, environ=environ, words=words))
    try:
        result = command.main(args=words, prog_name=NAME, standalone_mode=False)
    except (SignerError, UsageFault) as error:
        output.failure(document=problem_document(error), text=problem_text(error))
        return exit_code(error)
    except typer.TyperException as error:
        return _usage_failure(error, output)
    except typer.Abort:
        return EXIT_REFUSED
    except OSError as error:
        reason = f"{error.filename}: {error.strerror}" if error.filename else str(error)
        output.failure(document={"title": "failed", "detail": reason, "code": FILE_CODE}, text=f"error: {reason}")
        return EXIT_REFUSED
    return result if isinstance(result, int) else 0


def build(find_host: Callable[[], Host], *, environ: Mapping[str, str], words: Sequence[str] = ()) -> typer.Typer:
    """The whole command line, or as much of it as these words need.

    `find_host` is called by the commands that need the program itself.
    """
    app = typer.Typer(
        name=NAME,
        no_args_is_help=True,
        rich_markup_mode="markdown",
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
        epilog="Global options may stand anywhere on the line. Exit codes: 0 done; 1 refused or failed; "
        "2 the command line or the configuration is at fault.",
    )

    def show_version(value: bool) -> None:  # noqa: FBT001  # typer calls it with the flag's value
        if value:
            Output(as_json=False).line(f"{NAME} {find_host().version()}")
            raise typer.Exit

    @app.callback()
    def global_options(
        context: typer.Context,
        *,
        _version: Annotated[
            bool, typer.Option("--version", callback=show_version, is_eager=True, help="The version of this program.")
        ] = False,
        config: ConfigOption = None,
        preset: PresetOption = None,
        data_directory: DataDirectoryOption = None,
        settings: SettingsOption = None,
        endpoint: EndpointOption = None,
        token_file: TokenFileOption = None,
        client_certificate: ClientCertificateOption = None,
        client_key: ClientKeyOption = None,
        ca: AuthorityOption = None,
        as_json: JsonOption = False,
    ) -> None:
        """Holdfast: a remote signer that cannot be talked into losing its owner's money."""
        options = GlobalOptions(
            config=config,
            preset=preset,
            data_directory=data_directory,
            settings=tuple(settings or ()),
            as_json=as_json,
            endpoint=endpoint,
            token_file=token_file,
            client_certificate=client_certificate,
            client_key=client_key,
            ca=ca,
        )
        output = Output(as_json=as_json)
        context.obj = Session(find_host=find_host, options=options, output=output, environ=environ)

    for commands in _commands(words):
        commands.register(app)
    return app


def _commands(words: Sequence[str]) -> list[ModuleType]:
    """Those that the words name, or all: who freezes a key does not wait until everything else is loaded."""
    named = [module for module, names in _COMMANDS.items() if not names.isdisjoint(words)]
    return [import_module(f"signer.cli.commands.{module}") for module in named or _COMMANDS]


def _wants_json(hoisted: Sequence[str]) -> bool:
    """True with `--json`, known before the line is parsed: its faults are told in JSON too."""
    return "--json" in hoisted


def _usage_failure(error: typer.TyperException, output: Output) -> int:
    message = error.format_message()
    context = getattr(error, "ctx", None)
    where = f"{context.command_path} --help" if context else f"{NAME} --help"
    if not message:
        # No command was given: the help has been printed instead.
        return EXIT_USAGE
    document = {"title": "usage", "detail": message, "code": USAGE_CODE, "remedy": where}
    output.failure(document=document, text=f"error: {message}\n  remedy: see `{where}`")
    return EXIT_USAGE
