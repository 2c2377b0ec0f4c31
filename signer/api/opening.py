"""Opens the listeners that a configuration asks for."""

import secrets
import socket
import ssl
from collections.abc import Sequence
from dataclasses import replace

from signer.api.assembly import build_admin, build_api, build_metrics
from signer.api.listeners import Listeners
from signer.api.server import ApiServer
from signer.api.services import Services
from signer.api.settings import ApiSettings, host_names
from signer.api.tls import HotContext
from signer.auth.authenticate import Authenticator
from signer.config.credentials import find_anonymous, read_credentials
from signer.config.sections import Config

METRICS_BACKLOG = 64
"""Connections to the metrics listener that the kernel holds: one or two collectors ask every few seconds."""


async def open_private(listeners: Listeners, services: Services, config: Config) -> None:
    """The admin socket, and the metrics listener if there is to be one. Raises StartupError."""
    settings = ApiSettings.of(config)
    await listeners.listen_unix("admin", build_admin(services, settings=settings), path=config.server.admin_socket)
    if config.metrics.enabled:
        hosts = host_names(config.metrics.allowed_hosts)
        await listeners.listen(
            "metrics",
            build_metrics(services, settings=replace(settings, allowed_hosts=hosts)),
            host=config.metrics.host,
            port=config.metrics.port,
            backlog=METRICS_BACKLOG,
        )


def network_server(services: Services, config: Config) -> ApiServer:
    """What clients talk to; reads the files with their credentials. Raises ConfigError."""
    credentials = read_credentials(config.security, entropy=secrets.token_bytes)
    authenticator = Authenticator(credentials, anonymous=find_anonymous(config.security))
    return build_api(services, authenticator=authenticator, settings=ApiSettings.of(config))


async def open_network(listeners: Listeners, server: ApiServer, config: Config) -> None:
    """The network listener of a service that is one process. Raises StartupError, ConfigError."""
    await listeners.listen(
        "http",
        server,
        host=config.server.host,
        port=config.server.port,
        backlog=config.server.backlog,
        tls=_tls(config),
    )


def reserve_network(listeners: Listeners, config: Config) -> list[socket.socket]:
    """The network listener's address, for workers to listen to. Raises StartupError, and ConfigError as they would."""
    encrypted = _tls(config) is not None
    return listeners.reserve("http", host=config.server.host, port=config.server.port, encrypted=encrypted)


async def open_inherited(listeners: Listeners, server: ApiServer, config: Config, descriptors: Sequence[int]) -> None:
    """The network listener of a worker, on the sockets that the main process has reserved. Raises as `open_network`."""
    await listeners.listen_inherited(server, descriptors=descriptors, backlog=config.server.backlog, tls=_tls(config))


def _tls(config: Config) -> ssl.SSLContext | None:
    return HotContext.load(config.server.tls) if config.server.tls.enabled else None
