"""Reads a network from the text of a consensus `config.yaml` (consensus-specs configs/; every client takes one).

Keys we do not need are ignored, as the file's other readers do. Errors name key and line.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import yaml

from signer.errors import ConfigError
from signer.eth2.forks import Fork
from signer.eth2.networks import FAR_FUTURE_EPOCH, PRESETS, Network
from signer.units import UINT64_MAX, VERSION_BYTES, Epoch, Root, Version


@dataclass(frozen=True, slots=True)
class _Entry:
    text: str
    line: int


@dataclass(frozen=True, slots=True)
class _Entries:
    by_key: Mapping[str, _Entry]
    file: str

    def find(self, key: str) -> str | None:
        entry = self.by_key.get(key)
        return None if entry is None else entry.text

    def error(self, key: str, sentence: str, remedy: str) -> ConfigError:
        entry = self.by_key.get(key)
        where = self.file if entry is None else f"{self.file}:{entry.line}"
        return ConfigError(sentence, where=where, key=key, remedy=remedy)


def network_from_config(
    text: str,
    *,
    genesis_validators_root: Root | None,
    genesis_time: int | None,
    file: str = "consensus configuration",
) -> Network:
    """The network a consensus configuration describes; root and time are not in such a file and are given.

    Raises:
        ConfigError: no YAML, or a key that is missing, unreadable or contradicts another.
    """
    entries = _read_entries(text, file)
    schedule = _schedule(entries)
    preset = PRESETS.get(entries.find("PRESET_BASE") or "mainnet")
    if preset is None:
        raise entries.error(
            "PRESET_BASE",
            f"PRESET_BASE {entries.find('PRESET_BASE')!r} is not a preset we know",
            f"use one of {', '.join(PRESETS)}",
        )
    return Network(
        name=entries.find("CONFIG_NAME") or "custom",
        preset=preset,
        genesis_validators_root=genesis_validators_root,
        genesis_time=genesis_time,
        genesis_fork_version=schedule[0][1],
        schedule=schedule,
        slot_milliseconds=_slot_milliseconds(entries),
    )


def _read_entries(text: str, file: str) -> _Entries:
    try:
        document = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{file}:{mark.line + 1}" if mark else file
        raise ConfigError(
            "this is not a YAML document", where=where, key="", remedy="give the network's consensus config.yaml"
        ) from error
    if not isinstance(document, yaml.MappingNode):
        raise ConfigError(
            "a consensus configuration is a mapping of keys to values",
            where=file,
            key="",
            remedy="give the network's consensus config.yaml",
        )
    return _Entries(_scalars(document, file), file)


def _scalars(document: yaml.MappingNode, file: str) -> dict[str, _Entry]:
    entries: dict[str, _Entry] = {}
    for key, value in document.value:
        if not isinstance(key, yaml.ScalarNode) or not isinstance(value, yaml.ScalarNode):
            continue  # BLOB_SCHEDULE and other lists
        if key.value in entries:
            raise ConfigError(
                f"{key.value} is given twice",
                where=f"{file}:{key.start_mark.line + 1}",
                key=key.value,
                remedy="keep one of them",
            )
        entries[key.value] = _Entry(value.value, key.start_mark.line + 1)
    return entries


def _schedule(entries: _Entries) -> tuple[tuple[Fork, Version, Epoch], ...]:
    schedule = [(Fork.PHASE0, _version(entries, "GENESIS_FORK_VERSION"), Epoch(0))]
    for fork in tuple(Fork)[1:]:
        version_key, epoch_key = f"{fork.name}_FORK_VERSION", f"{fork.name}_FORK_EPOCH"
        epoch = Epoch(_uint64(entries, epoch_key, FAR_FUTURE_EPOCH))
        if entries.find(version_key) is None and epoch == FAR_FUTURE_EPOCH:
            continue
        _check_follows(entries, epoch_key, schedule[-1], (fork, epoch))
        schedule.append((fork, _version(entries, version_key), epoch))
    return tuple(schedule)


def _check_follows(
    entries: _Entries, key: str, previous: tuple[Fork, Version, Epoch], following: tuple[Fork, Epoch]
) -> None:
    fork, epoch = following
    if fork != previous[0] + 1:
        missing = Fork(previous[0] + 1).name
        raise entries.error(
            key, f"{fork.name} is configured, {missing} before it is not", f"add {missing}_FORK_VERSION and _EPOCH"
        )
    if epoch < previous[2]:
        raise entries.error(
            key, f"{key} {epoch} is before the fork it follows", f"forks come in order; see {previous[0].name}"
        )


def _version(entries: _Entries, key: str) -> Version:
    text = entries.find(key)
    if text is None:
        raise entries.error(key, f"{key} is missing", "give 4 bytes in hex, 0x first")
    try:
        version = bytes.fromhex(text.removeprefix("0x"))
    except ValueError:
        version = b""
    if len(version) != VERSION_BYTES or not text.startswith("0x"):
        raise entries.error(key, f"{key} {text!r} is not a fork version", "give 4 bytes in hex, 0x first")
    return Version(version)


def _slot_milliseconds(entries: _Entries) -> int:
    milliseconds = _uint64(entries, "SLOT_DURATION_MS", 0)
    seconds = _uint64(entries, "SECONDS_PER_SLOT", 0)
    if milliseconds == 0 and seconds == 0:
        raise entries.error("SLOT_DURATION_MS", "the length of a slot is missing", "give SLOT_DURATION_MS, 12000 say")
    if milliseconds and seconds and milliseconds != seconds * 1000:
        raise entries.error(
            "SLOT_DURATION_MS",
            f"SLOT_DURATION_MS {milliseconds} and SECONDS_PER_SLOT {seconds} contradict each other",
            "keep SLOT_DURATION_MS",
        )
    return milliseconds or seconds * 1000


def _uint64(entries: _Entries, key: str, default: int) -> int:
    text = entries.find(key)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) <= 20 and int(text) <= UINT64_MAX):
        raise entries.error(key, f"{key} {text!r} is not a number", "give a decimal number below 2**64")
    return int(text)
