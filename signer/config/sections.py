"""The whole configuration: one frozen dataclass for each section, named as in the file."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType

from signer.config.access import PolicySettings, SecuritySettings
from signer.config.approving import ApprovalSettings
from signer.config.chain import ClockSettings, NamespacesSettings, NetworkSettings
from signer.config.managing import KeyManagerSettings
from signer.config.observing import LoggingSettings, MetricsSettings
from signer.config.server import ServerSettings
from signer.config.setting import about
from signer.config.state import AuditSettings, JournalSettings, KeysSettings, StorageSettings


class Preset(StrEnum):
    """What kind of place this is; sets other defaults and how much is refused."""

    PRODUCTION = "production"
    DEVELOPMENT = "development"
    TEST = "test"


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Everything an operator may set. Immutable; every path in it is absolute."""

    preset: Preset = field(
        default=Preset.PRODUCTION,
        metadata=about(
            "What kind of place this is. None named means `production`, the one that refuses most: a forgotten line "
            "must not weaken anything."
        ),
    )
    server: ServerSettings = field(default_factory=ServerSettings, metadata=about("The HTTP listener."))
    storage: StorageSettings = field(default_factory=StorageSettings, metadata=about("Where durable things are kept."))
    security: SecuritySettings = field(default_factory=SecuritySettings, metadata=about("Who may ask."))
    network: NetworkSettings = field(
        default_factory=NetworkSettings, metadata=about("The consensus network whose duties are signed.")
    )
    keys: KeysSettings = field(default_factory=KeysSettings, metadata=about("Where private keys come from."))
    journal: JournalSettings = field(default_factory=JournalSettings, metadata=about("The database of decisions."))
    audit: AuditSettings = field(default_factory=AuditSettings, metadata=about("The log of every decision."))
    key_manager: KeyManagerSettings = field(
        default_factory=KeyManagerSettings, metadata=about("The Ethereum key manager API.")
    )
    policy: PolicySettings = field(default_factory=PolicySettings, metadata=about("Refusals by rules of your own."))
    approvals: ApprovalSettings = field(
        default_factory=ApprovalSettings, metadata=about("Requests that wait for people.")
    )
    clock: ClockSettings = field(
        default_factory=ClockSettings, metadata=about("The wall clock and how far it is believed.")
    )
    logging: LoggingSettings = field(default_factory=LoggingSettings, metadata=about("The log lines."))
    metrics: MetricsSettings = field(default_factory=MetricsSettings, metadata=about("The Prometheus listener."))
    namespaces: NamespacesSettings = field(default_factory=NamespacesSettings, metadata=about("Separate sets of keys."))

    file: Path | None = None
    """The file it was read from; None when there was none."""

    sources: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """For each dotted key that was given: `file:line`, `environment NAME`, `command line` or `preset NAME`."""

    @property
    def refuse_public_test_keys(self) -> bool:
        """True when interop and other public test keys must not be loaded."""
        return self.preset is Preset.PRODUCTION

    @property
    def check_clock(self) -> bool:
        """True when a bad clock must stop the start."""
        return self.preset is Preset.PRODUCTION

    @property
    def check_exposure(self) -> bool:
        """True when open listeners and readable secrets must stop the start."""
        return self.preset is Preset.PRODUCTION

    @property
    def may_begin_record(self) -> bool:
        """True when the first start may make an empty slashing record; in `production` only `holdfast init` does."""
        return self.preset is not Preset.PRODUCTION

    def where(self, key: str) -> str:
        """Where a key's value came from; `default` when nobody set it."""
        return self.sources.get(key, "default")
