"""The sections that say where durable things are: `storage`, `keys`, `journal`, `audit`."""

from dataclasses import dataclass, field
from pathlib import Path

from signer.config.journal_url import SQLITE, JournalUrl
from signer.config.setting import about
from signer.keys.preferences import ADDRESS_BYTES
from signer.operations.record_orders import LEAST_KEPT_EPOCHS
from signer.units import UINT64_MAX


@dataclass(frozen=True, slots=True, kw_only=True)
class MasterKeySettings:
    """What opens the sealed private keys."""

    key_file: Path = field(
        default=Path("master.key"),
        metadata=about(
            "The file with the master key, made by `holdfast init`, mode 0600. Beside the data it protects stolen "
            "database copies; put it on another medium to protect the directory too.",
            in_data_directory=True,
            private_file=True,
        ),
    )
    password_file: Path | None = field(
        default=None,
        metadata=about(
            "A file whose first line is a password, from which Argon2id derives the master key. Instead of `key_file`.",
            must_exist="file",
            private_file=True,
        ),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageSettings:
    """The data directory."""

    data_directory: Path = field(
        default=Path("/var/lib/holdfast"),
        metadata=about(
            "Database, audit log, sealed keys and admin socket: one directory, one signer, mode 0700. Absolute, so "
            "that a start from another directory never finds an empty history.",
            default_text="`/var/lib/holdfast`; `data` in the presets `development` and `test`",
        ),
    )
    head_file: Path = field(
        default=Path("head"),
        metadata=about(
            "The note of the newest commit, compared at start: an older database does not start. On another disk it "
            "also notices a restored data directory.",
            in_data_directory=True,
        ),
    )
    master_key: MasterKeySettings = field(
        default_factory=MasterKeySettings, metadata=about("What opens the sealed private keys.")
    )

    @property
    def vault_directory(self) -> Path:
        """Where the sealed keys are."""
        return self.data_directory / "vault"

    @property
    def deletions_file(self) -> Path:
        """Where deletions of keys are noted while they are under way."""
        return self.vault_directory / "deletions"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeysSettings:
    """Where private keys come from."""

    config_directory: Path = field(
        default=Path("keys"),
        metadata=about(
            "Web3Signer key configuration files (`*.yaml`, `*.yml`): its `--key-config-path`.",
            must_exist="directory",
            in_data_directory=True,
        ),
    )
    keystores_directory: Path | None = field(
        default=None,
        metadata=about(
            "A directory of EIP-2335 keystores (`*.json`) to load in bulk: its `--keystores-path`. Goes with "
            "`passwords_directory` or `password_file`.",
            must_exist="directory",
        ),
    )
    passwords_directory: Path | None = field(
        default=None,
        metadata=about(
            "For each bulk keystore a password file of the same name, ending in `.txt`.", must_exist="directory"
        ),
    )
    password_file: Path | None = field(
        default=None, metadata=about("One password for all bulk keystores.", must_exist="file", private_file=True)
    )
    strict: bool = field(
        default=False,
        metadata=about(
            "Refuses to start when any key file cannot be loaded. Off, as in Web3Signer: one bad file must not stop "
            "the duties of all other keys."
        ),
    )
    load_workers: int | None = field(
        default=None,
        metadata=about(
            "Processes that open keystores on the first load; each open keystore costs half a second of scrypt.",
            unit="processes",
            default_text="one for each core",
            minimum=1,
            maximum=256,
        ),
    )
    message_cache_entries: int = field(
        default=4096,
        metadata=about(
            "Messages whose hash to the curve is kept: all validators of a slot sign the same ones, and the hash is "
            "half of a signature. About 400 bytes each.",
            unit="messages",
            minimum=16,
            maximum=1_000_000,
        ),
    )
    quarantine_epochs: int = field(
        default=2,
        metadata=about(
            "How many whole epochs, after the running one, votes and blocks of a key wait that arrives with neither "
            "slashing history nor a migration receipt: another signer of it shows itself in that time. As many more as "
            "`clock.far_future_epochs` is above 1. 0: none wait.",
            unit="epochs",
            default_text="`2`; `0` in the presets `development` and `test`",
            minimum=0,
            maximum=225,
        ),
    )
    fee_recipient: bytes | None = field(
        default=None,
        metadata=about(
            "The fee recipient of every key for which none is set (`holdfast keys set`, or the key manager API). A "
            "registration that names another one is refused, and a block that proves another one. Not set: none is.",
            byte_count=ADDRESS_BYTES,
        ),
    )
    gas_limit: int | None = field(
        default=None,
        metadata=about(
            "The gas limit of every key for which none is set. A registration that asks for another one is refused. "
            "Not set: none is, and clients follow their own default.",
            unit="gas",
            minimum=1,
            maximum=UINT64_MAX,
        ),
    )
    graffiti: str | None = field(
        default=None,
        metadata=about(
            "What the key manager API tells as the graffiti of keys for which none is set. A signer puts none into "
            "blocks.",
            pattern=r"[ -~]{1,32}",
            pattern_text="a text of at most 32 printable ASCII characters",
        ),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalSettings:
    """The database of decisions."""

    url: JournalUrl = field(
        default=JournalUrl(SQLITE),
        metadata=about(
            "The database: `sqlite` in the data directory, or the PostgreSQL that several signers share, as "
            "`postgresql://USER@HOST:PORT/DATABASE?sslmode=verify-full` (`docs/postgresql.md`). Durability is not a "
            "setting; see `sync_mode` below.",
            secret=True,
        ),
    )
    password_file: Path | None = field(
        default=None,
        metadata=about(
            "A file whose first line is the password of the user in `url`, so that the URL holds none. Without it, and "
            "without one in the URL, `~/.pgpass` (or `PGPASSFILE`) is looked into, as `psql` does.",
            must_exist="file",
            private_file=True,
        ),
    )
    max_batch: int = field(
        default=512,
        metadata=about(
            "Decisions that share one commit at most. More gain nothing: the disk is waited for once either way.",
            unit="commands",
            minimum=1,
            maximum=4096,
        ),
    )
    deadline_seconds: float = field(
        default=2.0,
        metadata=about(
            "How long a decision may wait for its commit before the request fails closed. Below "
            "`server.request_deadline_seconds`.",
            unit="seconds",
            minimum=0.05,
            maximum=60,
        ),
    )
    prune: bool = field(
        default=True,
        metadata=about(
            "Deletes old slashing records in the background, a few at a time; floors rise over them, so that nothing "
            "is signed that was refused before. Off, the database grows by some 80 bytes a vote for ever: 10,000 "
            "validators add 65 GB a year."
        ),
    )
    prune_keep_epochs: int = field(
        default=10_000,
        metadata=about(
            "Votes that stay, counted back from each validator's newest (or from the present, where that is earlier): "
            "six weeks of evidence on mainnet, and the longest history that was measured to cost nothing.",
            unit="epochs",
            minimum=LEAST_KEPT_EPOCHS,
            maximum=UINT64_MAX,
        ),
    )
    prune_keep_slots: int = field(
        default=320_000,
        metadata=about(
            "Blocks that stay, counted likewise: `prune_keep_epochs` of a chain with 32 slots an epoch.",
            unit="slots",
            minimum=1,
            maximum=UINT64_MAX,
        ),
    )
    prune_interval_seconds: int = field(
        default=3600,
        metadata=about(
            "How often old records are looked for, the first time so long after the start. Often, because each time is "
            "short then.",
            unit="seconds",
            minimum=60,
            maximum=31_536_000,
        ),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditSettings:
    """The log of every decision."""

    keep_days: int = field(
        default=30,
        metadata=about(
            "Age at which audit entries move from the database to the archive. They are never deleted: 10,000 "
            "validators write about 1 GB a day.",
            unit="days",
            minimum=1,
            maximum=36500,
        ),
    )
    archive_directory: Path = field(
        default=Path("audit-archive"),
        metadata=about("Where archived audit entries are written.", in_data_directory=True),
    )
