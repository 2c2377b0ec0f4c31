"""Which routes each listener has, and how its callers are known.

network        what consensus clients and monitoring call; `/admin/...` only if it is set
admin socket   the same and `/admin/...`; the file system has authenticated the caller
metrics        one page
"""

import os
from dataclasses import replace

from signer.api import (
    admin,
    admin_export,
    admin_policy,
    admin_preferences,
    admin_slashing,
    approvals,
    batch,
    custody,
    dry_run,
    freezing,
    health,
    key_manager,
    metrics,
    native,
    openapi,
    preferences,
    reload,
    voluntary_exit,
    web3signer,
)
from signer.api.server import ApiServer
from signer.api.services import Services
from signer.api.settings import ANY_HOST, ApiSettings
from signer.auth.authenticate import Authenticator, ConnectedTest
from signer.auth.credentials import PeerCertificate
from signer.auth.principal import ANONYMOUS, OPERATOR, Principal

PUBLIC_ROUTES = [
    *web3signer.ROUTES,
    *batch.ROUTES,
    *dry_run.ROUTES,
    *native.ROUTES,
    *approvals.ROUTES,
    *reload.ROUTES,
    *health.ROUTES,
    *openapi.ROUTES,
]
"""What every listener but that of the metrics has."""

ADMIN_ROUTES = [
    *admin.ROUTES,
    *admin_export.ROUTES,
    *admin_slashing.ROUTES,
    *freezing.ROUTES,
    *custody.ROUTES,
    *admin_preferences.ROUTES,
    *admin_policy.ROUTES,
]
"""What `holdfast` (the command) asks."""


KEY_MANAGER_ROUTES = [*key_manager.ROUTES, *preferences.ROUTES, *voluntary_exit.ROUTES]
"""The Ethereum key manager API."""


def build_api(
    services: Services, *, authenticator: Authenticator, settings: ApiSettings, manager: Authenticator | None = None
) -> ApiServer:
    """The network listener's requests. Call it on the running loop that serves them.

    `manager` knows who may use the key manager API; without one it is not served.
    """
    routes = PUBLIC_ROUTES + (web3signer.EXTENSION_ROUTES if settings.extension_enabled else [])
    if settings.admin_over_network:
        routes = routes + ADMIN_ROUTES
    if manager is None:
        return ApiServer(routes, identify=authenticator.authenticate, services=services, settings=settings)
    return ApiServer(
        routes + KEY_MANAGER_ROUTES,
        identify=authenticator.authenticate,
        identify_manager=manager.authenticate,
        services=services,
        settings=settings,
    )


def build_admin(services: Services, *, settings: ApiSettings, owners: frozenset[int] | None = None) -> ApiServer:
    """The admin socket's requests: every route, and the caller is OPERATOR. Call it on the running loop.

    `owners` are the users who may connect; by default our own and root.
    """
    routes = PUBLIC_ROUTES + (web3signer.EXTENSION_ROUTES if settings.extension_enabled else [])
    routes = routes + ADMIN_ROUTES + (KEY_MANAGER_ROUTES if settings.key_manager else [])
    local = replace(settings, allowed_hosts=frozenset({ANY_HOST}), cors_origins=())
    admitted = owners if owners is not None else frozenset({os.geteuid(), 0})
    return ApiServer(routes, identify=_operator, services=services, settings=local, owners=admitted)


def build_metrics(services: Services, *, settings: ApiSettings) -> ApiServer:
    """The metrics listener's requests; `settings` has its own allow-list. Call it on the running loop."""
    return ApiServer(metrics.ROUTES, identify=_nobody, services=services, settings=settings)


async def _operator(_authorization: str | None, _peer: PeerCertificate | None, _connected: ConnectedTest) -> Principal:
    return OPERATOR


async def _nobody(_authorization: str | None, _peer: PeerCertificate | None, _connected: ConnectedTest) -> Principal:
    return ANONYMOUS
