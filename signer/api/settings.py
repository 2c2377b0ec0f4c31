"""The values the HTTP edge is built with."""

from dataclasses import dataclass
from typing import Literal, Self

from signer.config.sections import Config

ANY_HOST = "*"
"""In `ApiSettings.allowed_hosts`: whatever the Host header says (Web3Signer's `*` and `all`)."""

MAX_BATCH = 4096
"""Entries in one batch: ten slots of a signer with 10,000 validators."""


@dataclass(frozen=True, slots=True)
class ApiSettings:
    """Checked by the configuration; the defaults are those of `config/holdfast.example.yaml`."""

    allowed_hosts: frozenset[str] = frozenset({"localhost", "127.0.0.1"})
    """Lower-case host names without port that the Host header may have; `ANY_HOST` among them allows all."""

    cors_origins: tuple[str, ...] = ()
    """Regular expressions, one of which must match the whole Origin header; empty: no browser may call."""

    realm: str = "holdfast"
    """The realm named in a 401."""

    policy_refusal_status: Literal[412, 403] = 412
    """412 gives every consensus client its clearest log line; 403 is for clients that know it."""

    sign_body_limit_bytes: int = 16 * 2**20
    """Altair blocks and Gloas envelopes exceed the usual 1 MiB."""

    body_limit_bytes: int = 64 * 2**10
    """Every route that needs no large body."""

    import_limit_bytes: int = 2**30
    """An EIP-3076 document; it is streamed to a private file, never held in memory."""

    body_timeout_seconds: float = 30.0
    """For the whole body to arrive."""

    request_deadline_seconds: float = 2.5
    """For reading a large body on its thread; `operations/sign.py` has its own for what comes after."""

    keep_alive_seconds: float = 180.0
    """Longer than every client's own (Go 90 s): whoever closes first must be the client, or duties are lost."""

    max_connections: int = 4096
    """Open connections; one more is closed at once. Prysm opens one for each attestation of a burst."""

    extension_enabled: bool = False
    """`ext/sign`: Web3Signer's `--Xsigning-ext-enabled`."""

    admin_over_network: bool = False
    """Serve `/admin/...` to named principals on the network listener too."""

    key_manager: bool = False
    """Serve the Ethereum key manager API, to the holder of its token."""

    access_log: bool = False
    """One line for each request; it costs as much as the rest of the edge."""

    @classmethod
    def of(cls, config: Config) -> Self:
        """The network listener's values of a configuration. Connections are shared out among the workers."""
        server = config.server
        return cls(
            allowed_hosts=host_names(server.allowed_hosts),
            cors_origins=server.cors_origins,
            policy_refusal_status=config.policy.refusal_status,
            sign_body_limit_bytes=server.max_sign_body_bytes,
            body_limit_bytes=server.max_body_bytes,
            import_limit_bytes=server.max_import_body_bytes,
            body_timeout_seconds=server.body_timeout_seconds,
            request_deadline_seconds=server.request_deadline_seconds,
            keep_alive_seconds=server.keep_alive_seconds,
            max_connections=-(-server.max_connections // server.workers),
            extension_enabled=config.security.extension_signing,
            admin_over_network=server.admin_over_network,
            key_manager=config.key_manager.enabled,
            access_log=server.access_log,
        )


def host_names(names: tuple[str, ...]) -> frozenset[str]:
    """An allow-list as the configuration spells it, as `ApiSettings.allowed_hosts` has it."""
    return frozenset(ANY_HOST if name.lower() in ("*", "all") else name.lower() for name in names)
