"""The link of a worker: frames of MessagePack over a socket pair that only the two processes have.

A frame is its length in four bytes, big endian, and so many bytes of one message. The pair has no name on any disk: the
worker inherits its end, and nobody else can come to it; the peer's user is looked at all the same.
"""

import asyncio
import os
import socket
import struct
from collections.abc import Callable
from typing import Any, Generic, TypeVar, cast

import msgspec

from signer.relay.frames import FromMain, FromWorker

LENGTH = struct.Struct(">I")
"""Before each message: how many bytes it has."""

_PEER_CREDENTIALS = struct.Struct("3i")
"""pid, uid, gid: `struct ucred` (Linux, unix(7))."""

_BUFFER_BYTES = 256 * 1024
"""Room for a frame of some hundred commands; a larger frame has a buffer of its own while it arrives."""

WORKER_FRAME_BYTES = 64 * 2**20
"""Most that the main process takes at once: a batch of 4,096 duties is 2 MB."""

MAIN_FRAME_BYTES = 1024 * 2**20
"""Most that a worker takes at once: a key is 250 bytes."""

Message = TypeVar("Message")

_encoder = msgspec.msgpack.Encoder()
FROM_WORKER: "msgspec.msgpack.Decoder[FromWorker]" = msgspec.msgpack.Decoder(FromWorker)
FROM_MAIN: "msgspec.msgpack.Decoder[FromMain]" = msgspec.msgpack.Decoder(FromMain)


def encode_frame(message: Any) -> bytearray:
    """One message as it travels."""
    frame = bytearray(LENGTH.size)
    _encoder.encode_into(message, frame, LENGTH.size)
    LENGTH.pack_into(frame, 0, len(frame) - LENGTH.size)
    return frame


def is_our_own(end: socket.socket) -> bool:
    """True when the process at the other end is of our user: fails closed."""
    raw = end.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER_CREDENTIALS.size)
    return int(_PEER_CREDENTIALS.unpack(raw)[1]) == os.geteuid()


class Link(asyncio.BufferedProtocol, Generic[Message]):
    """One end. Owned by one event loop; `open` it, send, and hear of its end once through `lost`.

    Bytes that are no message of the other end cut it: nothing that follows them is believed.
    """

    def __init__(
        self,
        decoder: "msgspec.msgpack.Decoder[Message]",
        *,
        limit_bytes: int,
        heard: Callable[[Message], None],
        lost: Callable[[str], None],
    ) -> None:
        """`heard` is called with every message in order; `lost` once, with the reason."""
        self._decoder = decoder
        self._limit_bytes = limit_bytes
        self._heard = heard
        self._lost = lost
        self._buffer = bytearray(_BUFFER_BYTES)
        self._filled = 0
        self._secrets: list[bytearray] = []
        self._transport: asyncio.Transport | None = None
        self._cut_for: str | None = None
        """Why we cut the link: from then on nothing is believed."""

    async def open(self, end: socket.socket) -> None:
        """Begin to listen to this end; the socket is the link's from now on. Raises PermissionError: a stranger's."""
        if not is_our_own(end):
            raise PermissionError("the other end of a worker's link belongs to another user")
        await asyncio.get_running_loop().create_unix_connection(lambda: self, sock=end)

    def send(self, message: Any) -> None:
        """Send one message; nothing happens once the link is lost. Never blocks."""
        if self._transport is not None:
            self._transport.write(encode_frame(message))

    def send_secret(self, frame: bytearray) -> None:
        """Send what `encode_frame` made; it is overwritten as soon as it has left."""
        self._secrets.append(frame)
        if self._transport is not None:
            self._transport.write(frame)
        if self._transport is None or self._transport.get_write_buffer_size() == 0:
            self.resume_writing()

    def cut(self, reason: str) -> None:
        """End the link at once; `lost` is called with this reason."""
        if self._transport is not None and self._cut_for is None:
            self._cut_for = reason
            self._transport.abort()

    def close(self) -> None:
        """End the link when everything that was sent has left."""
        if self._transport is not None:
            self._transport.close()

    # --- what the event loop calls -----------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio."""
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(high=0)  # hear of an empty buffer: `resume_writing` wipes

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio."""
        self._transport = None
        self.resume_writing()
        self._lost(self._cut_for or str(exc or "the other end has gone"))

    def resume_writing(self) -> None:
        """Everything has left."""
        for frame in self._secrets:
            frame[:] = bytes(len(frame))
        self._secrets.clear()

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - asyncio's signature; our frames know better
        """See asyncio."""
        return memoryview(self._buffer)[self._filled :]

    def buffer_updated(self, nbytes: int) -> None:
        """So many more bytes are in the buffer."""
        self._filled += nbytes
        start = 0
        while self._cut_for is None and self._filled - start >= LENGTH.size:
            (length,) = LENGTH.unpack_from(self._buffer, start)
            if length > self._limit_bytes:
                self.cut(f"a frame of {length} bytes")
                return
            end = start + LENGTH.size + length
            if end > self._filled:
                self._make_room(start, LENGTH.size + length)
                return
            self._take(memoryview(self._buffer)[start + LENGTH.size : end])
            start = end
        self._make_room(start, _BUFFER_BYTES)

    def _take(self, frame: memoryview) -> None:
        try:
            message = self._decoder.decode(frame)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            self.cut(f"bytes that are no message: {error}")
            return
        finally:
            frame[:] = bytes(len(frame))  # it may have held keys; a microsecond for all others
        self._heard(message)

    def _make_room(self, start: int, wanted: int) -> None:
        """Move what is left to the front of a buffer that holds at least so many bytes."""
        left = self._filled - start
        size = max(wanted, _BUFFER_BYTES)
        if size != len(self._buffer):
            larger = bytearray(size)
            larger[:left] = memoryview(self._buffer)[start : self._filled]
            self._buffer[:] = bytes(len(self._buffer))  # a part of the key set may be in it
            self._buffer = larger
        elif start:
            self._buffer[:left] = self._buffer[start : self._filled]
        self._filled = left
