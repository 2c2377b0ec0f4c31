"""The configuration file that `init` writes: what was said on its command line, and nothing that has a default."""

from collections.abc import Mapping
from pathlib import Path

from signer.config.journal_url import JournalUrl
from signer.config.sections import Config, Preset
from signer.config.setting import values
from signer.config.show import quoted, value_text

TOKEN_PRINCIPAL = "client"  # noqa: S105  # a name, not a secret
"""The principal that the first token proves: it may list keys and sign, as a validator client does."""

_HEAD = """\
# Written by `holdfast init`. Every key there is: `holdfast config reference`.
"""

_ASKED = """\
  # Nobody signs without a credential. {name}'s is the line in the token file, as a bearer token or as a password in the
  # client's URL: http://{name}:TOKEN@127.0.0.1:9000. For a client that can show neither (Lodestar), or that proves
  # itself by its TLS certificate alone, take this whole section out."""

_UNASKED = """\
  # For trying out: whoever reaches the port may have everything signed. With `true` the principal below is asked for
  # its token, and nobody else gets in."""

_REQUIRED = "security.require_authentication"


def first_configuration(config: Config, *, token_file: Path) -> str:
    """The YAML text: the preset, what the command line set, and the principal of the first token.

    In `production` it is asked for: naming a principal protects nothing while others need no name. Elsewhere the
    request that `init --demo` prints works as it stands.
    """
    said = {
        each.key: _written(each.value)
        for each in values(config)
        if config.where(each.key) == "command line" and each.key != "preset" and "[" not in each.key
    }
    said["storage.data_directory"] = value_text(config.storage.data_directory)
    asked = config.preset is Preset.PRODUCTION
    if said.pop(_REQUIRED, None) is not None:
        asked = config.security.require_authentication
    lines = [_HEAD, f"preset: {config.preset}", *_nested(said)]
    if not any(key.startswith("security.") for key in said):
        lines.append("security:")
    place = 1 + max(number for number, line in enumerate(lines) if line == "security:")
    lines[place:place] = [
        (_ASKED if asked else _UNASKED).format(name=TOKEN_PRINCIPAL),
        f"  require_authentication: {value_text(asked)}",
        "  principals:",
        f"    - name: {TOKEN_PRINCIPAL}",
        f"      token_file: {value_text(token_file)}",
        f"      password_file: {value_text(token_file)}",
    ]
    return "\n".join(lines) + "\n"


def _written(value: object) -> str:
    """A value as it was said: the file is private, and a URL without its password would be another one."""
    return quoted(value.text) if isinstance(value, JournalUrl) else value_text(value)


def _nested(flat: Mapping[str, str]) -> list[str]:
    """Dotted keys as YAML, each section once."""
    lines: list[str] = []
    open_sections: list[str] = []
    for key, value in sorted(flat.items()):
        *sections, name = key.split(".")
        shared = 0
        while shared < min(len(sections), len(open_sections)) and sections[shared] == open_sections[shared]:
            shared += 1
        lines += ["  " * depth + f"{sections[depth]}:" for depth in range(shared, len(sections))]
        lines.append("  " * len(sections) + f"{name}: {value}")
        open_sections = sections
    return lines
