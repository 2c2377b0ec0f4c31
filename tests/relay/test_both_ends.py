"""What a worker asks of the main process, and what all workers are told."""

import asyncio
import socket
import threading
from pathlib import Path

import pytest
from journal.record import public_key, root
from relay.relay_ends import attach, both_ends, main_process, read_frame

from signer.auth.principal import Caller, Principal
from signer.crypto.bls import SecretKey
from signer.errors import BadWatermarkError, BusyError, JournalDownError, MalformedRequestError
from signer.keys.key import Key, Origin
from signer.keys.tags import Tag
from signer.operations.manage_keys import KeyManagement, ReloadStatus, SourceHealth
from signer.operations.orders import (
    AllowKeys,
    Carried,
    DeleteKeys,
    FreezeKeys,
    ImportKeystores,
    SetPreferences,
    TagKeys,
    ThawKeys,
)
from signer.operations.protect import WHOLE, ImportedValidator
from signer.operations.record_orders import Moved, MoveWatermarks, PruneRecord, PruneReport
from signer.relay import command_rows, frames
from signer.relay.link import encode_frame
from signer.units import PublicKey

CALLER = Caller(Principal("prysm-1"), "10.0.0.1", b"12345678")


def key(number: int) -> Key:
    return Key(
        public_key(number),
        SecretKey.from_bytes(number.to_bytes(32)),
        Origin.KEYSTORE_FILE,
        Path(f"/keys/{number}.yaml"),
        "m/12381/3600/0/0/0" if number % 2 else None,
    )


def told(one: Key) -> tuple[object, ...]:
    """Everything of a key, its secret included."""
    return (one.public_key, one.secret.to_secret().reveal(), one.origin, one.source_file, one.derivation_path)


async def until(condition) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0)


async def test_a_worker_serves_the_keys_of_the_main_process(tmp_path: Path):
    async with both_ends(tmp_path) as ends:
        assert not ends.worker.ring.ready
        keys = [key(number) for number in range(1, 300)]
        ends.ring.replace(keys)
        await asyncio.to_thread(ends.relay.spread_keys)
        await until(lambda: ends.worker.ring.ready)
        found = ends.worker.ring.current
        assert [told(found.keys[one.public_key]) for one in keys] == [told(one) for one in keys]
        assert found.tag == ends.ring.tag


async def test_a_worker_that_comes_later_is_given_the_keys_too(tmp_path: Path):
    async with both_ends(tmp_path) as ends:
        ends.ring.replace([key(1)])
        worker, _ = await attach(ends)
        await until(lambda: worker.ring.ready)
        assert worker.ring.public_keys == (public_key(1),)
        await worker.link.hang_up()


async def test_no_worker_is_ready_before_all_serve_the_keys(tmp_path: Path):
    async with both_ends(tmp_path) as ends:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        slow = await ends.relay.attend(ours, ends.lost.append)
        assert isinstance(await read_frame(theirs), frames.Welcome)
        ends.ring.replace([key(1)])
        spreading = asyncio.create_task(asyncio.to_thread(ends.relay.spread_keys))
        message = await read_frame(theirs)
        assert isinstance(message, frames.Keys)
        await until(lambda: ends.worker.ring.public_keys)
        await ends.worker.link.mainstay().loads.status()  # whatever was sent to it before has arrived
        assert not ends.worker.ring.ready
        assert not spreading.done()
        theirs.sendall(encode_frame(frames.KeysTaken(message.number)))
        assert isinstance(await read_frame(theirs), frames.Complete)
        await until(lambda: ends.worker.ring.ready)
        await spreading
        theirs.close()
        await slow.ended(within_seconds=10)


async def test_an_empty_set_of_keys_is_a_set_too(tmp_path: Path):
    async with both_ends(tmp_path) as ends:
        ends.ring.replace([key(1)])
        await asyncio.to_thread(ends.relay.spread_keys)
        ends.ring.replace([])
        await asyncio.to_thread(ends.relay.spread_keys)
        assert ends.worker.ring.public_keys == ()
        await until(lambda: ends.worker.ring.ready)


async def test_the_newest_keys_are_the_last_to_come(tmp_path: Path):
    async with both_ends(tmp_path) as ends:
        for number in range(1, 30):
            ends.ring.replace([key(number)])
            spreading = threading.Thread(target=ends.relay.spread_keys, daemon=True)
            spreading.start()
        await asyncio.to_thread(ends.relay.spread_keys)
        assert ends.worker.ring.public_keys == ends.ring.public_keys == (public_key(29),)


async def test_keys_are_spread_when_there_is_no_worker(tmp_path: Path):
    async with main_process(tmp_path) as (relay, ends):
        ends.ring.replace([key(1)])
        await asyncio.to_thread(relay.spread_keys)


async def test_a_load_does_not_wait_for_workers_once_the_service_stops(tmp_path: Path):
    async with main_process(tmp_path) as (relay, ends):
        relay.stop()
        ends.ring.replace([key(1)])
        spreading = threading.Thread(target=relay.spread_keys, daemon=True)
        spreading.start()
        spreading.join(10)  # the loop stands still meanwhile, as it does when it waits for this thread
        assert not spreading.is_alive()


async def test_a_key_set_that_cannot_be_read_costs_the_worker_its_link(tmp_path: Path):
    async with both_ends(tmp_path) as ends:
        ends.worker.ring.replace([key(7)])
        bad = frames.KeyRow(public_key(1), bytearray(32), "file-raw", "/k", None, "default")
        ends.link.send(frames.Keys(1, [bad]))
        await asyncio.wait_for(ends.worker.orphaned.wait(), 10)
        assert ends.worker.ring.public_keys == (public_key(7),)


def test_a_row_with_a_secret_shows_none_of_it():
    row = frames.KeyRow(public_key(1), bytearray(b"\x17" * 32), "file-raw", "/k", None, "default")
    assert repr(row) == "KeyRow(********)"
    assert "\\x17" not in repr(frames.Keys(1, [row]))


async def test_a_worker_tells_what_the_main_process_tells(tmp_path: Path):
    async with both_ends(tmp_path) as ends:
        worker = ends.worker.link.mainstay()
        assert await worker.loads.status() == ReloadStatus("completed", 1_700_000_000.25, "one file")
        assert await worker.loads.health() == (SourceHealth("config-files-loading", 3, 1),)
        assert await worker.journal_state() == {
            "state": "taking commands",
            "audit_entries": 12,
            "ratio": 0.5,
            "nothing": None,
        }
        assert await worker.journal_healthy()
        await worker.loads.start()
        assert ends.loads.started == 1


async def test_a_worker_is_told_busy_as_the_main_process_would_be(tmp_path: Path):
    async with both_ends(tmp_path) as ends:
        ends.loads.error = BusyError("keys are being loaded already; ask for the status and try again")
        with pytest.raises(BusyError, match="are being loaded already"):
            await ends.worker.link.mainstay().loads.start()


async def test_a_main_process_that_does_not_answer_is_not_healthy(tmp_path: Path):
    async with both_ends(tmp_path) as ends:
        ends.loads.silent = True
        impatient, _ = await attach(ends, answer_seconds=0.01)
        worker = impatient.link.mainstay()
        assert not await worker.journal_healthy()
        with pytest.raises(JournalDownError):
            await worker.loads.status()
        management = KeyManagement(ends.worker.ring, worker.loads)
        assert [one.keys_loaded for one in await management.health()] == [0, 0]
        await impatient.link.hang_up()


async def test_an_import_is_made_by_the_main_process_in_the_callers_name(tmp_path: Path):
    async with both_ends(tmp_path) as ends:
        imports = ends.worker.link.mainstay().imports
        assert await imports.merge(tmp_path / "upload", CALLER) == (
            ImportedValidator(b"k" * 48, 3, 7, None, ends_quarantine=True),
            ImportedValidator(b"l" * 48, 0, 0, "conflicts"),
        )
        ((file, caller),) = ends.imports.asked
        assert file == tmp_path / "upload"
        assert (caller.principal.name, caller.request_id) == ("prysm-1", b"12345678")
        assert not caller.principal.actions


@pytest.mark.parametrize("name", ["../outside", "/etc/passwd", "sub/file"])
async def test_nothing_outside_the_data_directory_is_imported(tmp_path: Path, name):
    async with both_ends(tmp_path) as ends:
        await ends.worker.link.ask_import(name, CALLER, WHOLE)
        ((file, _),) = ends.imports.asked
        assert file.parent == tmp_path


async def test_an_import_that_fails_fails_alike_in_a_worker(tmp_path: Path):
    async with both_ends(tmp_path) as ends:
        ends.imports.error = MalformedRequestError("not a document", path="data[0]")
        with pytest.raises(MalformedRequestError) as caught:
            await ends.worker.link.mainstay().imports.merge(tmp_path / "upload", CALLER)
        assert caught.value.evidence == {"path": "data[0]"}


async def test_orders_about_the_record_are_carried_out_by_the_main_process_in_the_callers_name(tmp_path: Path):
    async with both_ends(tmp_path) as ends:
        orders = ends.worker.link.mainstay().record_orders
        move = MoveWatermarks(public_key(1), low_epoch=2**64 - 1, high_slot=7)
        assert await orders.move(move, CALLER) == Moved({"low_epoch": None}, {"low_epoch": 2**64 - 1})
        assert await orders.prune(PruneRecord(keep_slots=9), CALLER) == PruneReport(7, 1, 2, more=True)
        assert [order for order, _ in ends.record_orders.asked] == [move, PruneRecord(keep_slots=9)]
        for _, caller in ends.record_orders.asked:
            assert (caller.principal.name, caller.request_id) == ("prysm-1", b"12345678")
            assert not caller.principal.actions


async def test_an_order_that_fails_fails_alike_in_a_worker(tmp_path: Path):
    async with both_ends(tmp_path) as ends:
        ends.record_orders.error = BadWatermarkError("no room", evidence={"low_epoch": 2**64 - 1})
        with pytest.raises(BadWatermarkError, match="no room") as caught:
            await ends.worker.link.mainstay().record_orders.move(MoveWatermarks(low_epoch=7), CALLER)
        assert caught.value.evidence == {"low_epoch": 2**64 - 1}


async def test_finished_lines_reach_the_main_process_from_any_thread(tmp_path: Path):
    async with both_ends(tmp_path) as ends:
        await asyncio.to_thread(ends.worker.link.write_line, 30, '{"event": "request refused"}')
        await until(lambda: ends.lines)
        assert ends.lines == [(30, '{"event": "request refused"}')]


async def test_all_workers_are_told_the_chain_and_the_end(tmp_path: Path):
    async with both_ends(tmp_path) as ends:
        other, _ = await attach(ends)
        ends.relay.pin(root(5))
        ends.relay.serve()
        for worker in (ends.worker, other):
            await asyncio.wait_for(worker.link.may_serve.wait(), 10)
            assert worker.pinned == [root(5)]
            assert not worker.link.must_stop.is_set()
        ends.relay.stop()
        for worker in (ends.worker, other):
            await asyncio.wait_for(worker.link.must_stop.wait(), 10)
        await other.link.hang_up()


async def test_what_workers_counted_is_asked_and_the_last_word_of_one_that_ended_is_kept(tmp_path: Path):
    async with both_ends(tmp_path) as ends:
        other, link = await attach(ends)
        other.tallies = b"the other's"
        assert sorted(await ends.relay.tallies()) == [b"counted", b"the other's"]
        other.tallies = b"never asked for"
        await other.link.hang_up()
        await link.ended(within_seconds=10)
        assert ends.retired == [b"the other's"]
        assert await ends.relay.tallies() == [b"counted"]


async def test_a_worker_says_when_it_is_ready_and_when_it_serves(tmp_path: Path):
    async with both_ends(tmp_path) as ends:
        assert not ends.link.ready.done()
        ends.worker.link.tell_ready()
        await asyncio.wait_for(ends.link.ready, 10)
        assert not ends.link.serving.done()
        ends.worker.link.tell_serving()
        await asyncio.wait_for(ends.link.serving, 10)


async def test_a_worker_that_names_no_kind_of_entry_is_cut_off_and_nothing_is_recorded(tmp_path: Path):
    async with both_ends(tmp_path) as ends:
        before = ends.record.log.head.size
        row = command_rows.CommandRow(1, (), command_rows.NoteRow(99, 1, "note", "", b"12345678", b"", ""))
        good = command_rows.CommandRow(2, (), command_rows.NoteRow(8, 1, "note", "", b"12345678", b"", ""))
        ends.worker.link._link.send(frames.Commands([good, row]))
        await asyncio.wait_for(ends.worker.orphaned.wait(), 10)
        await ends.link.ended(within_seconds=10)
        assert "cannot be read" in ends.lost[0]
        assert ends.record.log.head.size == before


async def test_a_message_that_only_workers_send_costs_the_link(tmp_path: Path):
    async with both_ends(tmp_path) as ends:
        ends.link.send(frames.Welcome(frames.VERSION, "1.2.3", b"", b"", None))
        await asyncio.wait_for(ends.worker.orphaned.wait(), 10)


async def test_commands_under_way_when_a_worker_dies_are_recorded_and_told_to_nobody(tmp_path: Path):
    async with both_ends(tmp_path) as ends:
        note = command_rows.NoteRow(8, 1, "note", "", b"12345678", b"", "")
        rows = [command_rows.CommandRow(number, (), note) for number in range(1, 600)]
        ends.worker.link._link.send(frames.Commands(rows))
        await ends.worker.link.hang_up()
        await ends.link.ended(within_seconds=10)
        await until(lambda: ends.record.log.head.size == 599)


def test_the_welcome_shows_nothing_of_the_configuration():
    welcome = frames.Welcome(frames.VERSION, "1.2.3", b"token digests", b"network", None)
    assert "token" not in repr(welcome)
    assert len(encode_frame(welcome)) < 100


ORDERS = [
    FreezeKeys((public_key(1), public_key(2), PublicKey(b""))),
    ThawKeys((public_key(1),)),
    ThawKeys((), (Tag("lido"),)),
    TagKeys((public_key(1),), (Tag("lido"),), (Tag("client:two"), Tag("x"))),
    DeleteKeys((public_key(1),)),
    DeleteKeys((public_key(1),), ".holdfast-writing-deleted-x"),
    SetPreferences((public_key(1), public_key(2)), b"\x11" * 20, 2**64 - 1, "plain text", ("gas_limit",)),
    AllowKeys((public_key(2),)),
    ImportKeystores(("{}", "{}"), ("one", "other")),
]


@pytest.mark.parametrize("order", ORDERS, ids=lambda order: type(order).__name__)
async def test_an_order_reaches_the_main_process_whole_and_so_does_its_answer(tmp_path: Path, order):
    async with both_ends(tmp_path) as ends:
        carried = await ends.worker.link.mainstay().orders.carry_out(order, CALLER)
        assert carried == (Carried(b"k" * 48, "done", "a sentence"), Carried(b"", "done"))
        [(given, caller)] = ends.orders.given
        assert given == order
        assert (caller.principal.name, caller.request_id) == ("prysm-1", b"12345678")
        assert not caller.principal.actions, "what it may do was judged by the worker"
        ends.orders.error = JournalDownError("no space")
        with pytest.raises(JournalDownError, match="no space"):
            await ends.worker.link.mainstay().orders.carry_out(order, CALLER)
