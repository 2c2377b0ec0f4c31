"""Opens the record that the configuration names: SQLite in the data directory, or a PostgreSQL database."""

import logging
from collections.abc import Callable
from dataclasses import replace

from signer.clock import Clock
from signer.config.journal_url import JournalUrl, journal_address
from signer.config.sections import Config
from signer.config.state import JournalSettings
from signer.eth2.networks import Network
from signer.events import Events
from signer.journal.postgres_reader import SharedReader
from signer.journal.postgres_setup import SharedPlace
from signer.journal.reader import SqliteReader
from signer.keys.vault import DATA_KEY_FILE
from signer.operations.kept_record import KeptRecord, RecordView
from signer.operations.record import Places, open_record
from signer.operations.shared_record import SharedPlaces, SharedRecord, open_shared_record
from signer.operations.telling import CommitEvents
from signer.relay.frames import SharedHome

_log = logging.getLogger("holdfast")


def open_kept_record(
    config: Config, network: Network, clock: Clock, *, events: Events, on_death: Callable[[Exception], None]
) -> KeptRecord:
    """The record, its writer running. Raises StartupError, ConfigError."""
    if config.journal.url.is_shared:
        return _open_shared(config, network, clock, events=events, on_death=on_death)
    return open_record(
        places_of(config),
        genesis_validators_root=network.genesis_validators_root,
        on_death=on_death,
        observer=CommitEvents(events),
        max_batch=config.journal.max_batch,
        deadline_seconds=config.journal.deadline_seconds,
        may_create=config.may_begin_record and not (config.storage.vault_directory / DATA_KEY_FILE).exists(),
        far_future_epochs=config.clock.far_future_epochs or 0,
        now=clock.now,
        epoch_begins=network.seconds_of_epoch,
    )


def _open_shared(
    config: Config, network: Network, clock: Clock, *, events: Events, on_death: Callable[[Exception], None]
) -> SharedRecord:
    places = shared_places_of(config)
    _log.info("opening the record in %s", config.journal.url)
    return open_shared_record(
        places,
        genesis_validators_root=network.genesis_validators_root,
        on_death=on_death,
        observer=CommitEvents(events),
        max_batch=config.journal.max_batch,
        deadline_seconds=config.journal.deadline_seconds,
        may_create=config.may_begin_record,
        far_future_epochs=config.clock.far_future_epochs or 0,
        now=clock.now,
        epoch_begins=network.seconds_of_epoch,
    )


def places_of(config: Config) -> Places:
    """Where an embedded record lies."""
    return Places(config.storage.data_directory, config.storage.head_file)


def shared_places_of(config: Config) -> SharedPlaces:
    """Where a shared record lies. Raises ConfigError: the password's file cannot be read."""
    address = journal_address(config.journal.url, config.journal.password_file)
    return SharedPlaces(address, config.storage.data_directory, config.storage.head_file)


def home_of(record: KeptRecord) -> SharedHome | None:
    """What a worker needs to read a shared record; None where the record is embedded."""
    if not isinstance(record, SharedRecord):
        return None
    place = record.place
    return SharedHome(record.address, place.database_id, place.web3signer_schema, record.instance)


def view_from(config: Config, home: SharedHome | None) -> RecordView:
    """How a worker reads the record; its connections close with the process."""
    if home is None:
        places = places_of(config)
        return places.view_by(SqliteReader(places.database))
    reader = SharedReader(home.address, SharedPlace(home.database_id, home.web3signer_schema), home.instance)
    return RecordView(config.storage.data_directory, config.storage.head_file, reader.moment, home.instance)


def without_address(journal: JournalSettings) -> JournalSettings:
    """The section for workers: they are told where the record is, and read no file again."""
    return replace(journal, url=JournalUrl(journal.url.shown), password_file=None)
