"""Keys that do not go together: each check raises a ConfigError that names both."""

import re
from collections.abc import Callable
from typing import get_args

from signer.auth.credentials import parse_password_hash
from signer.auth.principal import ANONYMOUS, KEY_MANAGER, OPERATOR
from signer.clock.sources import SPELLINGS, parse_clock_source
from signer.config.access import PrincipalSettings
from signer.config.sections import Config, Preset
from signer.errors import ConfigError
from signer.eth2.builtin_networks import find_network
from signer.eth2.duties import Duty
from signer.keys.preferences import ADDRESS_BYTES

MAX_SOCKET_PATH_BYTES = 107
"""unix(7): sun_path holds 108 bytes and ends in a zero."""

RESERVED_NAMES = frozenset({"anonymous", "key-manager", "operator"})
"""Names the audit log keeps for those who proved nothing, the key manager's token and the admin socket."""


MOST_EPOCHS_AHEAD = 82_125
"""A year of mainnet. One vote so far ahead forbids every honest one until then, so further is no guard at all."""


def check_contradictions(config: Config) -> None:
    """Raises ConfigError for the first pair of keys that contradict each other."""
    for check in _CHECKS:
        check(config)


def _fault(config: Config, key: str, sentence: str, *, remedy: str) -> ConfigError:
    return ConfigError(sentence, where=config.where(key), key=key, remedy=remedy)


def _given(config: Config, *keys: str) -> list[str]:
    """Those of the keys that hold something somebody wrote."""
    return [key for key in keys if key in config.sources and _value(config, key) not in (None, False)]


def _value(config: Config, key: str) -> object:
    value: object = config
    for name in key.split("."):
        value = getattr(value, name)
    return value


def _not_both(config: Config, one: str, other: str, *, why: str) -> None:
    if len(_given(config, one, other)) == 2:
        raise _fault(
            config,
            other,
            f"{one} ({config.where(one)}) and {other} contradict each other: {why}",
            remedy="keep one of them",
        )


def _not_without(config: Config, one: str, *needed: str) -> None:
    if _given(config, one) and not _given(config, *needed):
        words = " or ".join(needed)
        raise _fault(config, one, f"{one} needs {words}", remedy=f"set {words}, or leave {one} out")


def _check_tls(config: Config) -> None:
    tls, prefix = config.server.tls, "server.tls."
    _not_both(config, prefix + "certificate_file", prefix + "pkcs12_file", why="each brings a certificate")
    _not_both(config, prefix + "key_file", prefix + "pkcs12_file", why="each brings a key")
    _not_without(config, prefix + "certificate_file", prefix + "key_file")
    _not_without(config, prefix + "key_file", prefix + "certificate_file")
    _not_without(config, prefix + "pkcs12_file", prefix + "password_file")
    for name in ("password_file", "client_ca_file", "known_clients_file", "allow_any_client"):
        _not_without(config, prefix + name, prefix + "certificate_file", prefix + "pkcs12_file")
    for name in ("client_ca_file", "known_clients_file"):
        _not_both(config, prefix + "allow_any_client", prefix + name, why="one lets everybody in, the other asks who")
    if tls.enabled and not (tls.allow_any_client or tls.demands_client_certificate):
        raise _fault(
            config,
            prefix + ("certificate_file" if tls.certificate_file else "pkcs12_file"),
            "TLS is on and nothing says which clients may connect",
            remedy="set server.tls.client_ca_file or server.tls.known_clients_file; or, to encrypt without asking, "
            "server.tls.allow_any_client: true",
        )


def _check_server(config: Config) -> None:
    if len(bytes(config.server.admin_socket)) > MAX_SOCKET_PATH_BYTES:
        raise _fault(
            config,
            "server.admin_socket",
            f"server.admin_socket is longer than a Unix socket's path may be: {config.server.admin_socket}",
            remedy=f"set a path of at most {MAX_SOCKET_PATH_BYTES} bytes, such as /run/holdfast/admin.sock",
        )
    if config.journal.deadline_seconds >= config.server.request_deadline_seconds:
        raise _fault(
            config,
            "journal.deadline_seconds",
            f"journal.deadline_seconds ({config.journal.deadline_seconds}) leaves no time to sign before "
            f"server.request_deadline_seconds ({config.server.request_deadline_seconds})",
            remedy="make journal.deadline_seconds smaller",
        )
    listener = (config.server.host, config.server.port)
    if config.metrics.enabled and config.server.port and listener == (config.metrics.host, config.metrics.port):
        raise _fault(
            config,
            "metrics.port",
            f"server.port and metrics.port are both {config.server.port}",
            remedy="give the metrics another port",
        )
    for pattern in config.server.cors_origins:
        _check_pattern(config, pattern)


def _check_pattern(config: Config, pattern: str) -> None:
    try:
        re.compile(pattern)
    except re.error as error:
        raise _fault(
            config,
            "server.cors_origins",
            f"server.cors_origins holds {pattern!r}, which is no regular expression: {error}",
            remedy=r"write `.*` for any origin, `https://example\.org` for one",
        ) from None


def _check_storage(config: Config) -> None:
    _not_both(
        config,
        "storage.master_key.key_file",
        "storage.master_key.password_file",
        why="there is one master key, from a file or from a password",
    )


def _check_journal(config: Config) -> None:
    journal, key = config.journal, "journal.password_file"
    if journal.password_file is None:
        return
    if not journal.url.is_shared:
        raise _fault(
            config,
            key,
            f"{key} is set, and journal.url names no PostgreSQL database",
            remedy=f"set journal.url to postgresql://USER@HOST:PORT/DATABASE, or leave {key} out",
        )
    if journal.url.holds_password:
        raise _fault(
            config,
            key,
            f"journal.url ({config.where('journal.url')}) holds a password, and {key} names another",
            remedy="take the password out of journal.url: others may read the file that it is in",
        )


def _check_network(config: Config) -> None:
    network = config.network
    _not_both(config, "network.name", "network.config_file", why="there is one network")
    if network.pin_first_seen and config.preset is Preset.PRODUCTION:
        raise _fault(
            config,
            "network.pin_first_seen",
            "network.pin_first_seen is not for production: whoever asks first would choose the chain",
            remedy="set network.genesis_validators_root, or use the preset development or test",
        )
    for name in ("genesis_validators_root", "genesis_time"):
        _check_genesis(config, name)


def _check_genesis(config: Config, name: str) -> None:
    """A built-in network's genesis is known; another one belongs to another network."""
    network, key = config.network, f"network.{name}"
    builtin = None if network.config_file else find_network(network.name)
    known, given = getattr(builtin, name, None), getattr(network, name)
    if known is not None and given is not None and known != given:
        raise _fault(
            config,
            key,
            f"{key} is not that of {network.name}, {known if isinstance(known, int) else '0x' + known.hex()}",
            remedy="leave it out, or name the other network's configuration in network.config_file",
        )


def _check_clock(config: Config) -> None:
    ahead = config.clock.far_future_epochs
    if config.preset is not Preset.TEST and (ahead is None or ahead > MOST_EPOCHS_AHEAD):
        so = "removed" if ahead is None else f"set so far ({ahead} epochs) that there is none"
        raise _fault(
            config,
            "clock.far_future_epochs",
            f"the far-future guard can be {so} in the preset test alone",
            remedy=f"set clock.far_future_epochs to the number of epochs you need, at most {MOST_EPOCHS_AHEAD}",
        )
    try:
        parse_clock_source(config.clock.source, limit_seconds=config.clock.max_offset_seconds)
    except ValueError:
        raise _fault(
            config,
            "clock.source",
            f"clock.source {config.clock.source!r} is no clock source",
            remedy=f"write {SPELLINGS}",
        ) from None


def _check_keys(config: Config) -> None:
    bulk, files = "keys.keystores_directory", ("keys.passwords_directory", "keys.password_file")
    _not_both(config, *files, why="each keystore has one password")
    _not_without(config, bulk, *files)
    for each in files:
        _not_without(config, each, bulk)
    if config.keys.fee_recipient == bytes(ADDRESS_BYTES):
        raise _fault(
            config,
            "keys.fee_recipient",
            "keys.fee_recipient is the zero address: fees sent there are lost",
            remedy="write an address of your own, or leave the key out",
        )


def _check_logging(config: Config) -> None:
    to_file = "file" in config.logging.outputs
    if to_file and config.logging.file is None:
        raise _fault(
            config,
            "logging.outputs",
            "logging.outputs names `file`, and logging.file is not set",
            remedy="set logging.file",
        )
    if config.logging.file is not None and not to_file:
        raise _fault(
            config,
            "logging.file",
            "logging.file is set, and logging.outputs does not name `file`: nothing would be written to it",
            remedy="add `file` to logging.outputs",
        )
    bounds = config.metrics.buckets_seconds
    if not bounds or list(bounds) != sorted(set(bounds)):
        raise _fault(
            config,
            "metrics.buckets_seconds",
            "metrics.buckets_seconds are not ascending",
            remedy="write each bound once, the smallest first",
        )
    for key in ("logging.outputs", "namespaces.names"):
        if not _value(config, key):
            raise _fault(config, key, f"{key} is an empty list", remedy="name at least one, or leave the key out")


def _check_principals(config: Config) -> None:
    seen: set[str] = set()
    for index, principal in enumerate(config.security.principals):
        key = f"security.principals[{index}]"
        if principal.name in seen or principal.name in RESERVED_NAMES:
            what = "used by another principal" if principal.name in seen else "reserved"
            raise _fault(config, f"{key}.name", f"{key}.name {principal.name} is {what}", remedy="choose another name")
        seen.add(principal.name)
        _check_proofs(config, principal, key)
        _check_duties(config, principal, key)
    _check_someone_can_enter(config)


def _check_proofs(config: Config, principal: PrincipalSettings, key: str) -> None:
    _one_of_each(config, principal, key)
    certificate = principal.certificate
    proofs = (principal.token_sha256, principal.token_file, principal.password_hash, principal.password_file)
    if not any(proofs) and not certificate.given:
        raise _fault(
            config,
            f"{key}.name",
            f"{key} ({principal.name}) has no proof: nobody could be it",
            remedy="give it token_sha256, token_file, password_hash, password_file or certificate",
        )
    if certificate.given and not config.server.tls.demands_client_certificate:
        raise _fault(
            config,
            f"{key}.certificate." + ("sha256" if certificate.sha256 else "common_name"),
            f"{key} ({principal.name}) is proven by a client certificate, and the server asks for none",
            remedy="set server.tls.client_ca_file or server.tls.known_clients_file",
        )


def _one_of_each(config: Config, principal: PrincipalSettings, key: str) -> None:
    for one, other in (("token_sha256", "token_file"), ("password_hash", "password_file")):
        if getattr(principal, one) is not None and getattr(principal, other) is not None:
            raise _fault(
                config,
                f"{key}.{other}",
                f"{key}.{one} and {key}.{other} contradict each other: a principal has one of a kind",
                remedy="keep one of them",
            )
    if principal.password_hash is not None:
        where = f"{key}.password_hash"
        parse_password_hash(principal.password_hash, where=config.where(where), key=where)


def _check_duties(config: Config, principal: PrincipalSettings, key: str) -> None:
    known = sorted(duty.type for duty in get_args(Duty))
    for duty in principal.duties or ():
        if duty not in known:
            raise _fault(
                config,
                f"{key}.duties",
                f"{key}.duties names {duty}, which is no signing type",
                remedy="the signing types are " + ", ".join(known),
            )


def _check_grants(config: Config) -> None:
    known = {principal.name for principal in config.security.principals} | {
        ANONYMOUS.name,
        KEY_MANAGER.name,
        OPERATOR.name,
    }
    for index, grant in enumerate(config.policy.irreversible_grants):
        key = f"policy.irreversible_grants[{index}].principal"
        if grant.principal not in known:
            raise _fault(
                config,
                key,
                f"{key} {grant.principal} is no principal",
                remedy="name one of security.principals",
            )


def _check_someone_can_enter(config: Config) -> None:
    if config.security.require_authentication and not config.security.principals:
        raise _fault(
            config,
            "security.require_authentication",
            "security.require_authentication is on and security.principals is empty: nobody could ever sign",
            remedy="add a principal, or leave security.require_authentication out",
        )


_CHECKS: tuple[Callable[[Config], None], ...] = (
    _check_tls,
    _check_server,
    _check_storage,
    _check_journal,
    _check_network,
    _check_clock,
    _check_keys,
    _check_logging,
    _check_principals,
    _check_grants,
)
