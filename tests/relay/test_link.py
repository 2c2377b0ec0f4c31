"""Frames arrive whole however they are cut, and what is no message of the other end cuts the link."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest
from relay.loops import on_both_loops

from signer.relay.frames import AskState, Commands, Counted, Lines
from signer.relay.link import FROM_WORKER, Link, encode_frame, is_our_own

LIMIT = 8 * 2**20


class Heard:
    """What one end heard, and why it ended."""

    def __init__(self) -> None:
        self.messages: list[Any] = []
        self.lost: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.changed = asyncio.Condition()

    def hear(self, message: Any) -> None:
        self.messages.append(message)

    async def until(self, count: int) -> None:
        async with asyncio.timeout(10):
            while len(self.messages) < count:
                await asyncio.sleep(0)


@asynccontextmanager
async def link_and_peer() -> AsyncIterator[tuple[Link[Any], Heard, socket.socket]]:
    """A link, what it hears, and the bare socket at its other end."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    heard = Heard()
    link: Link[Any] = Link(FROM_WORKER, limit_bytes=LIMIT, heard=heard.hear, lost=heard.lost.set_result)
    await link.open(ours)
    theirs.setblocking(False)
    with theirs:
        yield link, heard, theirs
        theirs.close()
        async with asyncio.timeout(10):
            await heard.lost


async def write(peer: socket.socket, data: bytes) -> None:
    await asyncio.get_running_loop().sock_sendall(peer, data)


MESSAGES = [AskState(1), Counted(2, b"x" * 100), Lines([(30, "a line")]), Counted(3, b"y" * 3_000_000), AskState(4)]


@pytest.mark.parametrize("piece_bytes", [1, 3, 5, 4096, 262_144, 10_000_000])
@on_both_loops
async def test_frames_arrive_whole_however_they_are_cut(piece_bytes):
    messages = MESSAGES if piece_bytes > 1000 else [message for message in MESSAGES if message != MESSAGES[3]]
    stream = b"".join(bytes(encode_frame(message)) for message in messages)
    async with link_and_peer() as (_, heard, peer):
        for start in range(0, len(stream), piece_bytes):
            await write(peer, stream[start : start + piece_bytes])
            if piece_bytes < 10:
                await asyncio.sleep(0)
        await heard.until(len(messages))
    assert heard.messages == messages


@on_both_loops
async def test_many_frames_in_one_piece_arrive_in_order():
    messages = [AskState(number) for number in range(100_000)]
    async with link_and_peer() as (_, heard, peer):
        await write(peer, b"".join(bytes(encode_frame(message)) for message in messages))
        await heard.until(len(messages))
    assert heard.messages == messages


def framed(payload: bytes) -> bytes:
    return len(payload).to_bytes(4) + payload


VOTE = [1, b"k" * 48, 1, 2, b"r" * 32]
STORY = [1, "name", b"12345678", b"k" * 48, "ATTESTATION", 1, 2, b"r" * 32, 3, None, ""]


def commands(*rows: Any) -> bytes:
    return framed(msgspec.msgpack.encode([3, list(rows)]))


def changed(row: list[Any], index: int, value: Any) -> list[Any]:
    return [*row[:index], value, *row[index + 1 :]]


MALFORMED = {
    "no MessagePack": framed(b"\xc1"),
    "nothing": framed(b""),
    "text": b"GET / HTTP/1.1\r\n\r\n",
    "an unknown message": framed(msgspec.msgpack.encode([99])),
    "a message of the main process": framed(msgspec.msgpack.encode([11])),
    "a map": framed(msgspec.msgpack.encode({"type": 3})),
    "bytes behind the message": framed(msgspec.msgpack.encode([4, 1]) + b"\x00"),
    "a field too many": framed(msgspec.msgpack.encode([4, 1, 2])),
    "a field too few": framed(msgspec.msgpack.encode([4])),
    "a longer frame than is taken": (LIMIT + 1).to_bytes(4),
    "nested too deeply": framed(b"\x91" * 100_000),
    "a short key": commands([1, [changed(VOTE, 1, b"k" * 47)], STORY]),
    "a short root": commands([1, [changed(VOTE, 4, b"r" * 31)], STORY]),
    "a negative epoch": commands([1, [changed(VOTE, 2, -1)], STORY]),
    "an epoch as text": commands([1, [changed(VOTE, 2, "1")], STORY]),
    "an unknown claim": commands([1, [changed(VOTE, 0, 9)], STORY]),
    "an unknown story": commands([1, [VOTE], changed(STORY, 0, 9)]),
    "a long name": commands([1, [VOTE], changed(STORY, 1, "n" * 65)]),
    "a short request id": commands([1, [VOTE], changed(STORY, 2, b"1")]),
    "text that is no UTF-8": framed(b"\x92\x09\x91\x92\x1e\xa1\xff"),
    "one good command and one bad": commands([1, [VOTE], STORY], [2, [changed(VOTE, 1, b"")], STORY]),
}


def test_the_rows_of_the_table_are_good_before_they_are_broken():
    message = FROM_WORKER.decode(commands([1, [VOTE], STORY])[4:])
    assert isinstance(message, Commands)
    assert len(message.commands) == 1


@pytest.mark.parametrize("kind", MALFORMED)
@on_both_loops
async def test_what_is_no_message_cuts_the_link(kind):
    async with link_and_peer() as (_, heard, peer):
        await write(peer, bytes(encode_frame(AskState(1))) + MALFORMED[kind] + bytes(encode_frame(AskState(2))))
        async with asyncio.timeout(10):
            reason = await heard.lost
    assert reason
    assert "has gone" not in reason
    assert heard.messages == [AskState(1)]


@on_both_loops
async def test_a_peer_that_goes_in_the_middle_of_a_frame_is_a_lost_link():
    async with link_and_peer() as (_, heard, peer):
        await write(peer, bytes(encode_frame(Counted(1, b"x" * 1000)))[:500])
    assert heard.lost.result()
    assert heard.messages == []


@on_both_loops
async def test_what_was_sent_before_closing_arrives():
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    theirs.setblocking(False)
    heard = Heard()
    link: Link[Any] = Link(FROM_WORKER, limit_bytes=LIMIT, heard=heard.hear, lost=heard.lost.set_result)
    await link.open(ours)
    frame = bytes(encode_frame(Counted(1, b"x" * 2_000_000)))
    link.send(Counted(1, b"x" * 2_000_000))
    link.close()
    received = b""
    while piece := await asyncio.get_running_loop().sock_recv(theirs, 65536):
        received += piece
    assert received == frame
    link.send(AskState(1))
    theirs.close()
    assert await heard.lost


@pytest.mark.parametrize("size", [10, 5_000_000])
@on_both_loops
async def test_a_secret_frame_is_overwritten_once_it_has_left(size):
    async with link_and_peer() as (link, _, peer):
        frame = encode_frame(Counted(1, b"s" * size))
        expected = bytes(frame)
        link.send_secret(frame)
        received = b""
        while len(received) < len(expected):
            received += await asyncio.get_running_loop().sock_recv(peer, 1 << 20)
        assert received == expected
        async with asyncio.timeout(10):
            while any(frame):
                await asyncio.sleep(0)


@on_both_loops
async def test_a_secret_frame_that_cannot_leave_is_overwritten():
    async with link_and_peer() as (link, heard, peer):
        frame = encode_frame(Counted(1, b"s" * 5_000_000))
        link.send_secret(frame)
        peer.close()
        await heard.lost
        assert not any(frame)
        late = encode_frame(Counted(1, b"s"))
        link.send_secret(late)
        assert not any(late)


@on_both_loops
async def test_what_was_read_is_overwritten_in_the_buffer():
    async with link_and_peer() as (link, heard, peer):
        for size in (1000, 1_000_000):
            await write(peer, bytes(encode_frame(Counted(1, b"secret" * (size // 6)))))
        await heard.until(2)
        assert b"secret" not in link._buffer


def test_both_ends_of_a_pair_are_our_own():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        assert is_our_own(ours)
        assert is_our_own(theirs)


@on_both_loops
async def test_an_end_whose_peer_the_kernel_does_not_vouch_for_is_not_opened():
    ours = socket.socket()
    heard = Heard()
    link: Link[Any] = Link(FROM_WORKER, limit_bytes=LIMIT, heard=heard.hear, lost=heard.lost.set_result)
    with ours, pytest.raises(PermissionError):
        await link.open(ours)
