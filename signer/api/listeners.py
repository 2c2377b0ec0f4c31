"""The sockets of one process: bound, served, and closed in an order that loses no answer."""

import asyncio
import json
import os
import socket
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path

from aiohttp import web

from signer.api.server import ApiServer
from signer.durable import write_durably
from signer.errors import StartupError

ADDRESSES_FILE = "listening.json"
"""In the data directory while the signer runs: the addresses it really listens on (port 0 takes a free one)."""


class Listeners:
    """Owned by the process. Start them in any order; `close` stops accepting first and then waits for answers."""

    def __init__(self, *, grace_seconds: float) -> None:
        self._grace_seconds = grace_seconds
        self._runners: list[web.ServerRunner] = []
        self._servers: list[ApiServer] = []
        self.addresses: dict[str, str] = {}
        """By listener's name: `http`, `metrics`, `admin`."""

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
            return web.TCPSite(runner, host, port, backlog=backlog, ssl_context=tls)

        runner = await self._start(server, site, f"{host}:{port}")
        bound = runner.addresses[0]
        self.addresses[name] = f"{'https' if tls else 'http'}://{_shown(host)}:{bound[1]}"

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
        self.addresses[name] = f"unix:{path}"

    async def listen_socket(self, name: str, server: ApiServer, *, descriptor: int, tls: ssl.SSLContext | None) -> None:
        """Serve on a listening socket that somebody else has bound."""
        bound = socket.socket(fileno=descriptor)
        bound.setblocking(False)  # noqa: FBT003 - the standard library's own signature
        await self._start(server, lambda runner: web.SockSite(runner, bound, ssl_context=tls), f"socket {descriptor}")
        self.addresses[name] = f"socket:{descriptor}"

    def publish(self, directory: Path) -> None:
        """Write the addresses where scripts and tests find them."""
        content = json.dumps(self.addresses, indent=2).encode() + b"\n"
        write_durably(directory / ADDRESSES_FILE, content, private=False)

    def withdraw(self, directory: Path) -> None:
        """Remove what `publish` wrote."""
        (directory / ADDRESSES_FILE).unlink(missing_ok=True)

    async def close(self) -> None:
        """Accept nothing more, let requests under way finish within the grace, then close what is left."""
        for runner in self._runners:
            for site in list(runner.sites):
                await site.stop()
        deadline = asyncio.get_running_loop().time() + self._grace_seconds
        while any(server.in_flight for server in self._servers) and asyncio.get_running_loop().time() < deadline:  # noqa: ASYNC110 - a count
            await asyncio.sleep(0.01)
        for runner in reversed(self._runners):
            await runner.cleanup()
        self._runners.clear()

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
        raise StartupError(
            f"cannot listen on {where}: {error.strerror or error}",
            remedy="stop what listens there, or change server.port, server.host or metrics.port",
        ) from error


def _shown(host: str) -> str:
    return f"[{host}]" if ":" in host else host
