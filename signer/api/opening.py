"""Opens the listeners that a configuration asks for."""

import logging
import secrets
import socket
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from signer.api.assembly import build_admin, build_api, build_metrics
from signer.api.listeners import Listeners
from signer.api.server import ApiServer
from signer.api.services import Services
from signer.api.settings import ApiSettings, host_names
from signer.api.tls import HotContext
from signer.auth.authenticate import Authenticator
from signer.config.credentials import find_anonymous, read_credentials, read_manager_credential
from signer.config.sections import Config
from signer.errors import ConfigError

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
    manager = None
    if config.key_manager.enabled:
        manager = Authenticator((*credentials, read_manager_credential(config.key_manager)), anonymous=None)
    return build_api(services, authenticator=authenticator, settings=ApiSettings.of(config), manager=manager)


async def open_network(listeners: Listeners, server: ApiServer, config: Config) -> Callable[[], None]:
    """The network listener of a service that is one process; what renews its certificate, callable from any thread.

    Raises:
        StartupError, ConfigError.
    """
    tls = _tls(config)
    await listeners.listen(
        "http",
        server,
        host=config.server.host,
        port=config.server.port,
        backlog=config.server.backlog,
        tls=tls,
    )
    return partial(_renew, tls)


def reserve_network(listeners: Listeners, config: Config) -> list[socket.socket]:
    """The network listener's address, for workers to listen to. Raises StartupError, and ConfigError as they would."""
    encrypted = _tls(config) is not None
    return listeners.reserve("http", host=config.server.host, port=config.server.port, encrypted=encrypted)


async def open_inherited(
    listeners: Listeners, server: ApiServer, config: Config, descriptors: Sequence[int]
) -> Callable[[], None]:
    """The network listener of a worker, on the sockets that the main process has reserved; else as `open_network`."""
    tls = _tls(config)
    await listeners.listen_inherited(server, descriptors=descriptors, backlog=config.server.backlog, tls=tls)
    return partial(_renew, tls)


def _renew(tls: HotContext | None) -> None:
    """Read certificate, authorities and known clients again; what cannot be read leaves everything as it was."""
    if tls is None:
        return
    try:
        tls.reload()
    except ConfigError as error:
        logging.getLogger("holdfast").error(  # noqa: TRY400 - the sentence says it all
            "TLS goes on with its old certificates: %s", error.sentence
        )


def _tls(config: Config) -> HotContext | None:
    return HotContext.load(config.server.tls) if config.server.tls.enabled else None
