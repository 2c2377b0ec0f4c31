"""Load the configuration: preset, file, variables, flags; the later one is heard. The only reader of the environment.

defaults < preset < file < HOLDFAST_SECTION__KEY < flags
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from signer.config.building import build_config
from signer.config.contradictions import check_contradictions
from signer.config.credentials import check_shared_secrets
from signer.config.presets import PRESET_VALUES
from signer.config.reading import read_value
from signer.config.sections import Config, Preset
from signer.config.setting import members, values
from signer.config.text_file import read_text
from signer.errors import ConfigError
from signer.written import Mapping as TreeMapping
from signer.written import Origin, Scalar, from_value, nested, overlay, parse_yaml

ENVIRONMENT_PREFIX = "HOLDFAST_"

LEVEL_MARK = "__"
"""Separates the levels of a key in a variable's name; a name without it is not configuration."""

COMMAND_LINE = "command line"


def load_config(
    file: Path | None,
    *,
    environ: Mapping[str, str],
    flags: Mapping[str, Any],
    preset: str | None = None,
    working_directory: Path | None = None,
    files_must_exist: bool = True,
) -> Config:
    """The configuration of these four sources.

    Args:
        file: the YAML file, or None for none.
        environ: the process's environment.
        flags: values by dotted key, as text or typed; a value of None was not given.
        preset: the preset named on the command line; it is heard above the file's.
        working_directory: where relative paths of variables and flags start; the process's own when None.
        files_must_exist: False for commands that make the files (`init`).

    Raises:
        ConfigError: an unknown key, a wrong type, a missing file, a key written twice, a contradictory pair,
            one secret for two principals.
    """
    here = (working_directory or Path.cwd()).absolute()
    written = _read_file(file, here)
    preset = flags.get("preset") if preset is None else preset
    chosen = _choose_preset(written, preset, here)
    tree = _preset_tree(chosen, written.origin.directory)
    for layer in (
        written,
        environment_tree(environ, here),
        _flags_tree(flags, here),
        _chosen_tree(chosen, preset, here),
    ):
        tree = overlay(tree, layer)
    config = build_config(tree, file=(here / file) if file else None)
    check_contradictions(config)
    if files_must_exist:
        check_files(config)
        check_shared_secrets(config.security)
    return config


def environment_tree(environ: Mapping[str, str], working_directory: Path) -> TreeMapping:
    """What the variables say; names without two underscores in a row are not configuration."""
    tree = TreeMapping({}, Origin("environment", working_directory))
    for name in sorted(environ):
        if not name.startswith(ENVIRONMENT_PREFIX) or LEVEL_MARK not in name:
            continue
        key = ".".join(name.removeprefix(ENVIRONMENT_PREFIX).lower().split(LEVEL_MARK))
        value = Scalar(environ[name], "raw", Origin(f"environment {name}", working_directory))
        tree = overlay(tree, nested(key, value))
    return tree


def variable_name(key: str) -> str:
    """The variable that sets a dotted key."""
    return ENVIRONMENT_PREFIX + LEVEL_MARK.join(key.upper().split("."))


def check_files(config: Config) -> None:
    """Raises ConfigError for the first file or directory that somebody named and that is not there."""
    _check_files_of_url(config)
    for each in values(config):
        wanted, path = each.member.setting.must_exist, each.value
        if not wanted or path is None or each.key not in config.sources:
            continue
        there = path.is_file() if wanted == "file" else path.is_dir()
        if not there:
            raise ConfigError(
                f"{each.key} names {path}, and there is no such {wanted}",
                where=config.where(each.key),
                key=each.key,
                remedy="make it, or correct the path; a relative path starts at "
                "the configuration file, or at the working directory in variables and flags",
            )


def _check_files_of_url(config: Config) -> None:
    """What the driver would say of a missing file does not name it."""
    key = "journal.url"
    for name, path in config.journal.url.files.items():
        if not path.is_file():
            raise ConfigError(
                f"{key} names {path} ({name}), and there is no such file",
                where=config.where(key),
                key=key,
                remedy="make it, or correct the path; write it in full",
            )


def _read_file(file: Path | None, here: Path) -> TreeMapping:
    if file is None:
        return TreeMapping({}, Origin("no configuration file", here))
    remedy = "name a readable YAML file with --config; `holdfast config reference` prints one to begin with"
    text = read_text(file, subject="the configuration file", remedy=remedy, here=here)
    return parse_yaml(text, name=str(file), directory=(here / file).parent)


def _choose_preset(written: TreeMapping, flag: str | None, here: Path) -> Preset:
    member = next(each for each in members(Config) if each.name == "preset")
    tree = written.entries.get("preset")
    if flag is not None:
        tree = from_value(flag, Origin(COMMAND_LINE, here))
    return Preset.PRODUCTION if tree is None else Preset(read_value(tree, member.hint, member.setting, "preset"))


def _preset_tree(preset: Preset, directory: Path) -> TreeMapping:
    origin = Origin(f"preset {preset}", directory)
    tree = TreeMapping({}, origin)
    for key, value in PRESET_VALUES[preset].items():
        tree = overlay(tree, nested(key, Scalar(value.text, "raw", origin)))
    return tree


def _flags_tree(flags: Mapping[str, Any], here: Path) -> TreeMapping:
    origin = Origin(COMMAND_LINE, here)
    tree = TreeMapping({}, origin)
    for key, value in flags.items():
        if value is not None and key != "preset":
            tree = overlay(tree, nested(key, from_value(value, origin)))
    return tree


def _chosen_tree(preset: Preset, flag: str | None, here: Path) -> TreeMapping:
    """The preset of the command line, in the place of the file's."""
    origin = Origin(COMMAND_LINE, here)
    return TreeMapping({} if flag is None else {"preset": Scalar(preset, "raw", origin)}, origin)
