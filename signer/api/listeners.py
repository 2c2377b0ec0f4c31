"""The sockets of one process: bound, served, and closed in an order that loses no answer."""

import asyncio
import json
import os
import socket
import ssl
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path

from aiohttp import web

from signer.api.server import ApiServer
from signer.durable import write_durably
from signer.errors import StartupError

ADDRESSES_FILE = "listening.json"
"""In the data directory while the signer runs: the addresses it really listens on (port 0 takes a free one)."""


QUIET_SECONDS = 0.1
"""A shutdown closes idle connections once no request has come for so long: one on its way is answered first."""

_LOOK_SECONDS = 0.01
"""How often a shutdown looks whether all is quiet."""


class Listeners:
    """Owned by the process. Start them in any order; `close` stops accepting first and then waits for answers."""

    def __init__(self, *, grace_seconds: float) -> None:
        self._grace_seconds = grace_seconds
        self._runners: list[web.ServerRunner] = []
        self._servers: list[ApiServer] = []
        self._reserved: list[socket.socket] = []
        self._socket_files: list[Path] = []
        self.addresses: dict[str, str] = {}
        """By listener's name: `http`, `metrics`, `admin`."""

    def __str__(self) -> str:
        return " ".join(f"{name}={address}" for name, address in self.addresses.items())

    async def listen(
        self,
        name: str,
        server: ApiServer,
        *,
        host: str,
        port: int,
        backlog: int,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """Serve on an address.

        Raises:
            StartupError: it cannot be bound.
        """

        def site(runner: web.ServerRunner) -> web.BaseSite:
            return web.TCPSite(runner, host, port, backlog=backlog)

        server.tls = tls
        runner = await self._start(server, site, f"{host}:{port}")
        bound = runner.addresses[0]
        self.addresses[name] = _address(host, bound[1], encrypted=tls is not None)

    async def listen_unix(self, name: str, server: ApiServer, *, path: Path) -> None:
        """Serve on a unix socket that only its owner can open. The caller holds the data directory's lock.

        Raises:
            StartupError: it cannot be bound.
        """
        path.unlink(missing_ok=True)  # noqa: ASYNC240 - one system call at start; a killed process leaves its socket behind; the lock says that none is alive
        old = os.umask(0o177)
        try:
            await self._start(server, lambda runner: web.UnixSite(runner, str(path)), str(path))
        finally:
            os.umask(old)
        self._socket_files.append(path)
        self.addresses[name] = f"unix:{path}"

    async def listen_inherited(
        self, server: ApiServer, *, descriptors: Sequence[int], backlog: int, tls: ssl.SSLContext | None = None
    ) -> None:
        """Serve on sockets that the main process has bound; they are this process's own from now on.

        Raises:
            StartupError: one cannot be listened to.
        """
        server.tls = tls
        for descriptor in descriptors:
            bound = socket.socket(fileno=descriptor)
            await self._start(
                server,
                partial(web.SockSite, sock=bound, backlog=backlog),
                f"socket {descriptor}",
            )

    def reserve(self, name: str, *, host: str, port: int, encrypted: bool) -> list[socket.socket]:
        """Bind an address for other processes to listen to, on every address that the host name has.

        Raises:
            StartupError: it cannot be bound.
        """
        try:
            reserved = _bind_all(host, port)
        except OSError as error:
            raise _cannot_listen(f"{host}:{port}", error) from error
        self._reserved += reserved
        self.addresses[name] = _address(host, reserved[0].getsockname()[1], encrypted=encrypted)
        return reserved

    def publish(self, directory: Path) -> None:
        """Write the addresses where scripts and tests find them."""
        content = json.dumps(self.addresses, indent=2).encode() + b"\n"
        write_durably(directory / ADDRESSES_FILE, content, private=False)

    def withdraw(self, directory: Path) -> None:
        """Remove what `publish` wrote."""
        (directory / ADDRESSES_FILE).unlink(missing_ok=True)

    def release(self) -> None:
        """Let go of what was reserved: the address is free when no worker has it any more."""
        for reserved in self._reserved:
            reserved.close()
        self._reserved.clear()

    async def close(self) -> None:
        """Accept nothing more, answer what is under way or on its way within the grace, then close what is left.

        From now on each answer is the last of its connection (`Connection: close`), so that a client under load is
        told to go elsewhere and is never cut while it waits. The files of unix sockets are gone afterwards.
        """
        self.release()
        for server in self._servers:
            server.draining = True
        for runner in self._runners:
            for site in list(runner.sites):
                await site.stop()
        await self._fall_quiet()
        for runner in reversed(self._runners):
            await runner.cleanup()
        self._runners.clear()
        self._servers.clear()
        for path in self._socket_files:  # the loops leave them behind
            path.unlink(missing_ok=True)
        self._socket_files.clear()

    async def _fall_quiet(self) -> None:
        """Wait until no connection is open, or none has had a request for QUIET_SECONDS; at most for the grace."""
        now = asyncio.get_running_loop().time
        quiet_since = now()
        deadline = quiet_since + self._grace_seconds
        begun = -1
        while any(server.door.open_connections for server in self._servers) and now() < deadline:
            last, begun = begun, sum(server.requests_count for server in self._servers)
            if begun != last or any(server.in_flight for server in self._servers):
                quiet_since = now()
            elif now() - quiet_since >= QUIET_SECONDS:
                return
            await asyncio.sleep(_LOOK_SECONDS)

    async def _start(
        self, server: ApiServer, site: Callable[[web.ServerRunner], web.BaseSite], where: str
    ) -> web.ServerRunner:
        runner = web.ServerRunner(server, shutdown_timeout=0.5)
        await runner.setup()
        try:
            await _bound(site(runner).start(), where)
        except BaseException:
            await runner.cleanup()
            raise
        self._runners.append(runner)
        self._servers.append(server)
        return runner


async def _bound(starting: Awaitable[None], where: str) -> None:
    try:
        await starting
    except OSError as error:
        raise _cannot_listen(where, error) from error


def _cannot_listen(where: str, error: OSError) -> StartupError:
    return StartupError(
        f"cannot listen on {where}: {error.strerror or error}",
        remedy="stop what listens there, or change server.port, server.host or metrics.port",
    )


def _bind_all(host: str, port: int) -> list[socket.socket]:
    """Bound, not yet listening: as asyncio binds them. Port 0 is the same free one for all. Raises OSError."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    bound: list[socket.socket] = []
    try:
        for family, kind, protocol, _, address in dict.fromkeys(found):
            one = socket.socket(family, kind, protocol)
            bound.append(one)
            one.setblocking(False)  # noqa: FBT003 - the standard library's own signature
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            chosen = address[1] or bound[0].getsockname()[1]
            one.bind((address[0], chosen, *address[2:]))
    except OSError:
        for one in bound:
            one.close()
        raise
    return bound


def _address(host: str, port: int, *, encrypted: bool) -> str:
    shown = f"[{host}]" if ":" in host else host
    return f"{'https' if encrypted else 'http'}://{shown}:{port}"
