"""The options that every command takes; they may stand anywhere on the line."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from signer.config.sections import Preset

_SIGNER = "Which signer"
_PRINTING = "What is printed"

ConfigOption = Annotated[Path | None, typer.Option(help="The configuration file (YAML).", rich_help_panel=_SIGNER)]
PresetOption = Annotated[
    Preset | None,
    typer.Option(help="What kind of place this is; `production` if nobody says.", rich_help_panel=_SIGNER),
]
DataDirectoryOption = Annotated[
    Path | None, typer.Option(help="Where the signer keeps what must last.", rich_help_panel=_SIGNER)
]
SettingsOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Any other configuration key.", rich_help_panel=_SIGNER),
]
EndpointOption = Annotated[
    str | None,
    typer.Option(
        metavar="URL",
        help="Ask the signer at this URL instead of the one of the data directory.",
        rich_help_panel=_SIGNER,
    ),
]
TokenFileOption = Annotated[
    Path | None, typer.Option(help="A file with the bearer token for the endpoint.", rich_help_panel=_SIGNER)
]
ClientCertificateOption = Annotated[
    Path | None, typer.Option(help="Our certificate for the endpoint (PEM).", rich_help_panel=_SIGNER)
]
ClientKeyOption = Annotated[
    Path | None, typer.Option(help="The key of our certificate (PEM).", rich_help_panel=_SIGNER)
]
AuthorityOption = Annotated[
    Path | None,
    typer.Option(help="The authority that signed the endpoint's certificate (PEM).", rich_help_panel=_SIGNER),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document.", rich_help_panel=_PRINTING)]

_FLAGS = frozenset({"--json"})
"""Global options without a value."""

_VALUES = frozenset(
    {
        "--config", "--preset", "--data-directory", "--set",
        "--endpoint", "--token-file", "--client-certificate", "--client-key", "--ca",
    }
)  # fmt: skip
"""Global options with a value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GlobalOptions:
    """The options that every command takes."""

    config: Path | None = None
    preset: str | None = None
    data_directory: Path | None = None
    settings: tuple[str, ...] = ()
    """`KEY=VALUE`, as they were written."""

    as_json: bool = False
    endpoint: str | None = None
    token_file: Path | None = None
    client_certificate: Path | None = None
    client_key: Path | None = None
    ca: Path | None = None


def hoist(arguments: Sequence[str]) -> list[str]:
    """The same words with the global options in front, so that `holdfast keys list --json` is understood."""
    front: list[str] = []
    rest: list[str] = []
    words = iter(arguments)
    for word in words:
        name, equals, _ = word.partition("=")
        if word == "--":
            rest += [word, *words]
        elif word in _FLAGS or (equals and name in _VALUES):
            front.append(word)
        elif word in _VALUES:
            front += [word, *_next(words)]
        else:
            rest.append(word)
    return front + rest


def _next(words: Iterator[str]) -> list[str]:
    """The value that follows, where there is one; its absence is the parser's to tell."""
    following = next(words, None)
    return [] if following is None else [following]
