"""Is a shared database safe, near and ours? Works beside running signers, takes no lease, and changes nothing."""

import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from signer.audit.anchor import check_log
from signer.audit.head import read_head
from signer.audit.ledger import read_log_head
from signer.errors import StartupError
from signer.journal.postgres_session import LostConnectionError, ServerRefusedError, Session, SessionTransaction
from signer.journal.postgres_setup import (
    SharedPlace,
    check_advisory_locks,
    check_server,
    find_place,
    newest_schema,
    schema_of,
)
from signer.operations.examine.finding import Finding, Grade, fault
from signer.operations.examine.standing_keys import examine_standing
from signer.operations.shared_record import SharedPlaces, read_instance
from signer.slashing.network import check_same_network, recorded_network
from signer.units import Epoch, Root

SUBJECT = "database"

CONNECT_SECONDS = 5.0
"""How long the server may take to let us in."""

STATEMENT_SECONDS = 10.0
"""How long it may take for an answer."""

SAMPLES = 50
"""Round trips that are timed."""

SLOW_SECONDS = 0.020
"""Median round trip above which duties wait noticeably: each waits for the four of its batch, and often for those of
the batch before."""

_SERVER = """
SELECT current_setting('server_version'), current_setting('synchronous_commit'),
    current_setting('synchronous_standby_names'), inet_server_addr()::text,
    coalesce((SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()), false),
    current_setting('max_connections')::int,
    (SELECT count(*)::int FROM pg_stat_activity WHERE backend_type = 'client backend')
"""
_REPLICAS = """
SELECT coalesce(application_name, '?'), coalesce(state, 'not shown to this user'), coalesce(sync_state, '')
FROM pg_stat_replication ORDER BY 1
"""
_INSTANCES = """
SELECT log_id, NOT released AND expires_at > clock_timestamp(), released, incarnation <> holdfast.incarnation(),
    round(extract(epoch FROM clock_timestamp() - expires_at))::bigint
FROM holdfast.instances ORDER BY log_id
"""
_BARRIER = "SELECT incarnation <> holdfast.incarnation() FROM holdfast.identity"
_RIGHTS = """
SELECT named FROM unnest(ARRAY['validators', 'signed_attestations', 'signed_blocks', 'low_watermarks', 'metadata',
    'holdfast.instances', 'holdfast.identity', 'holdfast.key_states', 'holdfast.watermarks']) AS named
WHERE NOT (has_table_privilege(named, 'SELECT') AND has_table_privilege(named, 'INSERT')
    AND has_table_privilege(named, 'UPDATE'))
"""


def examine_shared_record(
    places: SharedPlaces,
    *,
    shown: str,
    may_begin: bool,
    running: bool,
    epoch: Epoch | None = None,
    network: Root | None = None,
) -> Iterator[Finding]:
    """The server, its replicas, how far away it is, what it holds, and the leases on it.

    `shown` is the URL without its secrets; `running` says that our own signer works on it now, which is asked itself
    which keys stand still; `epoch` is the present one, `network` the configured genesis_validators_root; None if
    nobody knows it.
    """
    try:
        with _connected(places.address) as (session, second):
            check_server(session, seconds=STATEMENT_SECONDS)
            check_advisory_locks(session, second)
            yield _server(session, shown)
            yield _replication(session)
            yield _round_trip(session)
            place = find_place(session)
            if place is None:
                yield _empty(shown, may_begin=may_begin)
                return
            yield from _record(session, place, places, running=running)
            transaction = SessionTransaction(session, seconds=STATEMENT_SECONDS)
            if not running and schema_of(session) == newest_schema():
                yield from examine_standing(transaction, epoch=epoch)
            recorded = recorded_network(transaction)
            if recorded is not None and network is not None:
                check_same_network(recorded, network)
    except LostConnectionError as error:
        remedy = "start PostgreSQL; or correct host and port in journal.url, and the firewall in between"
        yield fault(SUBJECT, f"{shown} does not answer: {error}", remedy=remedy)
    except ServerRefusedError as error:
        remedy = "let the user in journal.url own the database, or grant it all rights on its tables"
        yield fault(SUBJECT, f"{shown} refused a look: {error}", remedy=remedy)
    except StartupError as error:
        yield Finding(SUBJECT, Grade.FAULT, error.sentence, error.remedy)


@contextmanager
def _connected(address: str) -> Iterator[tuple[Session, Session]]:
    session, second = Session(address), Session(address)
    try:
        session.open(seconds=CONNECT_SECONDS)
        second.open(seconds=CONNECT_SECONDS)
        yield session, second
    finally:
        session.close()
        second.close()


def _server(session: Session, shown: str) -> Finding:
    ((version, commit, standbys, address, encrypted, most, used),) = session.rows(_SERVER, seconds=STATEMENT_SECONDS)
    figures = {
        "version": version,
        "synchronous_commit": commit,
        "synchronous_standby_names": standbys,
        "encrypted": "yes" if encrypted else "no",
        "connections": used,
        "max_connections": most,
    }
    sentence = f"{shown}: PostgreSQL {version}, its settings keep what it commits"
    local = address is None or address.startswith(("127.", "::1"))
    if encrypted or local:
        return Finding("database server", Grade.OK, sentence, figures=figures)
    remedy = "add ?sslmode=verify-full&sslrootcert=FILE to journal.url, and ssl=on with a certificate to the server"
    return Finding(
        "database server", Grade.WARNING, f"{sentence}; the connection to it is not encrypted", remedy, figures
    )


def _replication(session: Session) -> Finding:
    ((standbys,),) = session.rows("SELECT current_setting('synchronous_standby_names')", seconds=STATEMENT_SECONDS)
    replicas = session.rows(_REPLICAS, seconds=STATEMENT_SECONDS)
    told = ", ".join(f"{name} ({state}{', ' + sync if sync else ''})" for name, state, sync in replicas) or "none"
    figures = {"replicas": len(replicas), "synchronous_standby_names": standbys}
    if standbys:
        return Finding("replication", Grade.OK, f"a commit waits for {standbys}; replicas: {told}", figures=figures)
    sentence = f"no commit waits for a replica (synchronous_standby_names is empty); replicas: {told}"
    remedy = (
        "one server: keep its disk. With replicas: set synchronous_standby_names, or a fail-over loses votes and the"
        " signers refuse to go on (docs/postgresql.md)"
    )
    return Finding("replication", Grade.WARNING, sentence, remedy, figures)


def _round_trip(session: Session) -> Finding:
    taken = []
    for _ in range(SAMPLES):
        began = time.perf_counter()
        session.rows("SELECT 1", seconds=STATEMENT_SECONDS)
        taken.append(time.perf_counter() - began)
    median, worst = statistics.median(taken), max(taken)
    figures = {"median_seconds": median, "worst_seconds": worst}
    sentence = f"a round trip takes {1000 * median:.2f} ms, {1000 * worst:.2f} ms at worst; a batch of votes costs four"
    if median < SLOW_SECONDS:
        return Finding("round trip", Grade.OK, sentence, figures=figures)
    remedy = "bring signer and database nearer to each other: duties wait for it"
    return Finding("round trip", Grade.WARNING, sentence, remedy, figures)


def _empty(shown: str, *, may_begin: bool) -> Finding:
    if may_begin:
        return Finding(SUBJECT, Grade.OK, f"{shown} holds no record of ours yet: the first start makes it")
    return fault(
        SUBJECT,
        f"{shown} holds no record of ours",
        remedy="for a new signer, or to adopt a database of Web3Signer's, run `holdfast init`; otherwise correct the"
        " database's name in journal.url",
    )


def _record(session: Session, place: SharedPlace, places: SharedPlaces, *, running: bool) -> Iterator[Finding]:
    instance = read_instance(places.data_directory)
    path = place.search_path(instance) if instance else f"holdfast, {place.web3signer_schema}"
    session.script(f"SET search_path = {path}", seconds=STATEMENT_SECONDS)
    lacking = [str(name) for (name,) in session.rows(_RIGHTS, seconds=STATEMENT_SECONDS)]
    if lacking:
        yield fault(
            SUBJECT,
            f"the user in journal.url may not write {', '.join(lacking)}",
            remedy="let it own the database, or GRANT it SELECT, INSERT, UPDATE, DELETE on all tables of all schemas",
        )
        return
    yield _log(session, place, places, instance)
    yield _leases(session, instance, running=running)


def _log(session: Session, place: SharedPlace, places: SharedPlaces, instance: bytes | None) -> Finding:
    # Before the database is asked: whatever is appended meanwhile, it must hold what the head file tells of now.
    anchor = read_head(places.head_file)
    ((validators,),) = session.rows("SELECT count(*) FROM validators", seconds=STATEMENT_SECONDS)
    figures: dict[str, str | int | float | None] = {
        "validators": int(validators),
        "database_id": place.database_id.hex(),
    }
    known = instance and session.rows(
        "SELECT 1 FROM holdfast.instances WHERE log_id = ?", (instance,), seconds=STATEMENT_SECONDS
    )
    if not known or instance is None:
        if anchor is not None and anchor.size:
            raise StartupError(
                f"the database does not know this signer, but its head file tells of {anchor.size} audit entries",
                remedy="bring the newest database back, or correct journal.url",
            )
        return Finding(SUBJECT, Grade.OK, "this signer begins with its first start there", figures=figures)
    transaction = SessionTransaction(session, seconds=STATEMENT_SECONDS)
    stored = replace(read_log_head(transaction, database_id=place.database_id), log_id=instance)
    check_log(anchor, stored, transaction)
    sentence = f"it agrees with the head file of this signer: {stored.size} audit entries"
    figures |= {"audit_entries": stored.size, "instance": instance.hex()}
    return Finding(SUBJECT, Grade.OK, sentence, figures=figures)


def _leases(session: Session, instance: bytes | None, *, running: bool) -> Finding:
    ((barrier,),) = session.rows(_BARRIER, seconds=STATEMENT_SECONDS)
    rows = session.rows(_INSTANCES, seconds=STATEMENT_SECONDS)
    live = sum(alive for _, alive, *_ in rows)
    figures = {"instances": len(rows), "live": live}
    waiting = [
        f"{bytes(log_id).hex()} (its lease ended {seconds} s ago)" if not alive else bytes(log_id).hex()
        for log_id, alive, released, behind, seconds in rows
        if behind and not released
    ]
    if barrier and waiting:
        return fault(
            "lease",
            f"this server took over, and nobody signs until these signers have confirmed it: {', '.join(waiting)}",
            remedy="start each of them once; for one that is gone for good stop all others and run `holdfast slashing"
            " accept-restore` on one (docs/postgresql.md)",
        )
    ours = any(bytes(log_id) == instance and alive for log_id, alive, *_ in rows)
    if running and not ours:
        sentence = "the running signer holds no lease: it cannot commit"
        return Finding("lease", Grade.FAULT, sentence, "look at its log", figures)
    held = "ours is held" if ours else "ours is free"
    return Finding("lease", Grade.OK, f"{held}; {live} of {len(rows)} known signers hold one", figures=figures)
