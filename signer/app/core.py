"""Everything below the edges, for one data directory: opened in order, closed in reverse."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

from signer.app.keeping import open_kept_record
from signer.auth.principal import KEY_MANAGER, OPERATOR
from signer.clock import Clock, SystemClock
from signer.config.chain import read_network
from signer.config.credentials import approvers_of, find_anonymous, irreversible_rule, policy_defaults, principal_of
from signer.config.key_sources import default_preferences, key_locations, master_key
from signer.config.sections import Config
from signer.config.state import JournalSettings
from signer.crypto import bls
from signer.durable import ensure_private_directory
from signer.eth2.networks import Network
from signer.events import Events
from signer.keys.deletions import Deletions
from signer.keys.departures import Departures
from signer.keys.guard import GuardedLoader, LoadsKeys
from signer.keys.holdings import Holdings
from signer.keys.loader import Loader
from signer.keys.reload import Listener, Reloader, tell_each
from signer.keys.ring import KeyRing
from signer.keys.vault import Vault, open_vault
from signer.operations.approve import LocalApprovalOrders
from signer.operations.carry_out import LocalOrders
from signer.operations.change_policies import LocalPolicyOrders
from signer.operations.guard_policies import PolicyGuard
from signer.operations.held_requests import HeldRequests
from signer.operations.hold_keys import KeyHolding, deleted_keys
from signer.operations.horizon import Horizon
from signer.operations.importing import WriterImports
from signer.operations.keep_record import LocalRecordOrders
from signer.operations.kept_record import KeptRecord, RecordView
from signer.operations.mainstay import Mainstay, RecordOperations
from signer.operations.manage_keys import LocalLoads
from signer.operations.move_keys import KeyMoving
from signer.operations.prune import PruningPlan, RecordPruning
from signer.operations.quarantine import QuarantiningLoader
from signer.operations.tag_keys import TaggingLoader
from signer.operations.telling import TombstoneWatch
from signer.operations.who_can import Access
from signer.telemetry.logs import Logs, open_outputs

_log = logging.getLogger("holdfast")


@dataclass(frozen=True, slots=True)
class Core:
    """Everything below the edges, for one data directory."""

    network: Network
    record: KeptRecord
    ring: KeyRing
    reloader: Reloader
    after_load: list[Listener]
    """Told of each load of keys, in order, before it counts as complete."""

    mainstay: Mainstay
    pruning: RecordPruning
    clock: Clock
    orders: LocalOrders
    approvals: LocalApprovalOrders


@contextmanager
def open_core(
    config: Config, *, events: Events, on_death: Callable[[Exception], None], admits_keys: bool = False
) -> Iterator[Core]:
    """Everything below the edges, opened in order and closed in reverse.

    `admits_keys`: its loads are for signing, so that keys without history begin to wait.
    """
    network, clock = read_network(config.network), SystemClock()
    ensure_private_directory(config.storage.data_directory)
    record = open_kept_record(config, network, clock, events=events, on_death=on_death)
    try:
        reading = record.view.reading
        ring, after_load = KeyRing(), list[Listener]()
        vault = open_vault(config.storage.vault_directory, master_key(config.storage))
        loader = loader_of(config, vault)
        if admits_keys:
            loader = TaggingLoader(loader, changes=record.writer, reading=record.view.reading, clock=clock)
        if admits_keys and config.keys.quarantine_epochs:
            loader = QuarantiningLoader(
                loader,
                changes=record.writer,
                reading=reading,
                horizon=Horizon(network, clock, config.clock.far_future_epochs),
                epochs=config.keys.quarantine_epochs,
            )
        reloader = Reloader(loader, ring, clock, listener=partial(tell_each, after_load))
        horizon = horizon_of(config, network, clock)
        imports = WriterImports(
            changes=record.writer,
            horizon=horizon,
            pinned=lambda: record.pinned,
            reading=reading,
            data_directory=record.view.data_directory,
        )
        pruning = RecordPruning(
            changes=record.writer,
            read=reading,
            horizon=horizon,
            plan=_pruning_plan(config.journal),
        )
        record_orders = LocalRecordOrders(changes=record.writer, pruning=pruning, horizon=horizon)
        holdings = Holdings(ring, vault, config.keys.config_directory, Deletions(config.storage.deletions_file))
        holdings.finish(deleted_keys(reading))
        after_load.append(TombstoneWatch())
        holding = KeyHolding(
            changes=record.writer,
            holdings=holdings,
            reloader=reloader,
            bls=bls.load(),
            reading=reading,
            clock=clock,
            data_directory=config.storage.data_directory,
            refuse_public_test_keys=config.refuse_public_test_keys,
            shared=config.journal.url.is_shared,
        )
        moving = KeyMoving(
            changes=record.writer,
            horizon=horizon,
            departures=Departures(config.storage.head_file),
            loaded=lambda: ring.public_keys,
        )
        moving.follow(reading)
        orders = LocalOrders(
            changes=record.writer,
            reading=reading,
            clock=clock,
            events=events,
            holding=holding,
            moving=moving,
        )
        approvals = LocalApprovalOrders(
            changes=record.writer,
            reading=reading,
            clock=clock,
            events=events,
            sealer=vault.held_requests,
            most_waiting=config.approvals.most_waiting,
            keep_days=config.approvals.keep_days,
        )
        mainstay = Mainstay(
            record.writer,
            LocalLoads(reloader),
            imports,
            record_orders,
            record.state,
            record.healthy,
            orders,
            LocalPolicyOrders(changes=record.writer, reading=reading, clock=clock, events=events),
            approvals,
        )
        try:
            yield Core(network, record, ring, reloader, after_load, mainstay, pruning, clock, orders, approvals)
        finally:
            reloader.close()
    finally:
        record.close()


def operations_over(
    config: Config, network: Network, *, ring: KeyRing, mainstay: Mainstay, clock: Clock, view: RecordView
) -> RecordOperations:
    """What is done with keys and record besides signing."""
    approvers = approvers_of(config.security)
    held = HeldRequests(orders=mainstay.approval_orders, reading=view.reading, clock=clock, approvers=approvers)
    return RecordOperations.over(
        mainstay,
        ring,
        view,
        archive_directory=config.audit.archive_directory,
        key_directory=config.keys.config_directory,
        horizon=horizon_of(config, network, clock),
        quarantine_epochs=config.keys.quarantine_epochs,
        defaults=default_preferences(config.keys),
        access=_access(config),
        guard=PolicyGuard(held, approvers, reading=view.reading),
    )


def _access(config: Config) -> Access:
    """Who may do what, as the configuration says."""
    anonymous = find_anonymous(config.security)
    manager = (KEY_MANAGER,) if config.key_manager.enabled else ()
    others = (OPERATOR, *(() if anonymous is None else (anonymous,)), *manager)
    return Access(
        (*others, *(principal_of(entry) for entry in config.security.principals)),
        irreversible_rule(config.policy),
        policy_defaults(config.policy),
    )


def horizon_of(config: Config, network: Network, clock: Clock) -> Horizon:
    """The present, and how far ahead of it anything is signed."""
    return Horizon(network, clock, config.clock.far_future_epochs)


def _pruning_plan(settings: JournalSettings) -> PruningPlan:
    interval_seconds = float(settings.prune_interval_seconds) if settings.prune else None
    return PruningPlan(settings.prune_keep_epochs, settings.prune_keep_slots, interval_seconds)


def loader_of(config: Config, vault: Vault) -> LoadsKeys:
    """What loads the keys."""
    keys = config.keys
    loader = Loader(key_locations(keys), bls.load(), vault, strict=keys.strict, threads=keys.load_workers)
    return GuardedLoader(loader) if config.refuse_public_test_keys else loader


def logs_of(config: Config, *instead: logging.Handler) -> Logs:
    """The log of this process: to the configured outputs, or to what is given instead of them."""
    settings = config.logging
    handlers = instead or open_outputs(
        settings.outputs, file=settings.file, max_bytes=settings.file_max_bytes, count=settings.file_count
    )
    return Logs(level=settings.level, form=settings.format, handlers=handlers)


def log_death(error: Exception) -> None:
    """The journal has stopped: one line, at the highest level."""
    _log.critical("the journal has stopped, so nothing is signed any more: %s", error, extra={"code": "JOURNAL_DOWN"})
