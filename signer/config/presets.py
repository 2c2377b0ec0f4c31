"""What each preset sets: a layer above the defaults and below the file. What a preset refuses is in production.py."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from signer.config.sections import Preset


@dataclass(frozen=True, slots=True)
class PresetValue:
    """One key that a preset sets differently, with the reason."""

    text: str
    """As a variable would hold it."""

    reason: str


PRESET_VALUES: Mapping[Preset, Mapping[str, PresetValue]] = MappingProxyType(
    {
        Preset.PRODUCTION: {},
        Preset.DEVELOPMENT: {
            "storage.data_directory": PresetValue("data", "beside the configuration file: no rights over /var needed"),
            "network.pin_first_seen": PresetValue("true", "a local network's genesis root is new each time"),
            "keys.quarantine_epochs": PresetValue("0", "a local network's keys have no history, and wait for nobody"),
            "policy.irreversible_duties": PresetValue("allowed", "a local network's stake is play money"),
            "policy.unbound_transactions": PresetValue("allow", "a local network's coins are play money"),
            "logging.format": PresetValue("console", "read by eyes"),
            "metrics.enabled": PresetValue("true", "there to be looked at"),
        },
        Preset.TEST: {
            "server.port": PresetValue("0", "a free one: tests run side by side"),
            "metrics.port": PresetValue("0", "a free one: tests run side by side"),
            "storage.data_directory": PresetValue("data", "beside the configuration file: gone with the test"),
            "network.pin_first_seen": PresetValue("true", "a test's genesis root is its own"),
            "policy.irreversible_duties": PresetValue("allowed", "a test signs every type"),
            "policy.unbound_transactions": PresetValue("allow", "a test signs every type"),
            "clock.source": PresetValue("trusted", "a test machine may have no clock service"),
            "keys.quarantine_epochs": PresetValue("0", "a test's keys have no history, and wait for nobody"),
        },
    }
)

PRESET_REFUSALS: Mapping[Preset, tuple[str, ...]] = MappingProxyType(
    {
        Preset.PRODUCTION: (
            "a listener beyond loopback that asks nobody who they are",
            "`security.principals` without `security.require_authentication`, unless that is written as `false`",
            "a data directory, or a file with a key, password or token, that others can read, wherever it is named",
            "a data directory without a slashing record: `holdfast init` begins it",
            "bearer tokens and passwords shorter than `security.minimum_secret_characters`",
            "interop keys and other public test keys",
            "a clock that is off by more than `clock.max_offset_seconds`, or that nobody vouches for",
            "`network.pin_first_seen`, and `clock.far_future_epochs` of `null` or more than a year of mainnet",
        ),
        Preset.DEVELOPMENT: ("`clock.far_future_epochs` of `null` or more than a year of mainnet",),
        Preset.TEST: (),
    }
)
"""In words, for the documentation: what each preset refuses beyond what is always refused."""
