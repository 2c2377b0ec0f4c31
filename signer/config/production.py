"""What the preset `production` refuses by the configuration alone: open listeners and readable secrets.

Each check fails closed: a fault stops the start. Public test keys and the clock are judged where they are known
(`Config.refuse_public_test_keys`, `Config.check_clock`).
"""

import ipaddress
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from signer.clock.sources import parse_clock_source
from signer.config.credentials import check_shared_secrets
from signer.config.fault import Fault, fault_of
from signer.config.open_files import mounted_secrets, open_data_directory, open_key_files, open_secret_files
from signer.config.secret_files import is_open_to_others, read_first_line
from signer.config.sections import Config, Preset
from signer.config.tls_checks import find_tls_warnings
from signer.errors import StartupError
from signer.eth2.builtin_networks import find_network
from signer.operations.examine.disk import check_file_system

DAY_OF_EPOCHS = 225
"""A day of mainnet: from here on the far-future guard is worth a warning."""


def check_start(config: Config) -> None:
    """Raises StartupError with every fault that `find_faults` finds, and every remedy."""
    faults = find_faults(config)
    if not faults:
        return
    raise StartupError(
        f"the preset {config.preset} does not start like this: " + "; ".join(fault.sentence for fault in faults),
        remedy="; ".join(dict.fromkeys(fault.remedy for fault in faults)),
        evidence={f"{fault.key} ({fault.where})": fault.sentence for fault in faults},
    )


def check_machine(config: Config) -> None:
    """Raises StartupError where the clock or the data directory's file system is not fit for signing."""
    check_clock(config)
    if config.check_exposure:
        check_file_system(config.storage.data_directory)


def check_clock(config: Config) -> None:
    """Raises StartupError where a good clock is demanded and the machine's is none, or nobody vouches for it."""
    if not config.check_clock:
        return
    state = parse_clock_source(config.clock.source, limit_seconds=config.clock.max_offset_seconds).measure()
    if not state.synchronised:
        raise StartupError(
            f"the clock cannot be relied on: {state.sentence}",
            remedy="run chrony or systemd-timesyncd, or set clock.source to ntp:HOST, or to trusted where the"
            " hypervisor keeps the time",
        )


def find_faults(config: Config) -> tuple[Fault, ...]:
    """Everything that stops the start: an unknown genesis in any preset, the rest in `production`.

    Raises:
        ConfigError: a file with a secret cannot be read, or two principals have the same one.
    """
    check_shared_secrets(config.security)
    found = find_faults_on_paper(config)
    if config.check_exposure:
        found += tuple(fault for check in _OF_FILES for fault in check(config))
    return found


def find_faults_on_paper(config: Config) -> tuple[Fault, ...]:
    """Those of the faults that show without a look at any file."""
    checks = (_genesis, *_ON_PAPER) if config.check_exposure else (_genesis,)
    return tuple(fault for check in checks for fault in check(config))


def find_warnings(config: Config) -> tuple[Fault, ...]:
    """What an operator should know and may decide to keep."""
    return tuple(fault for check in _WARNINGS for fault in check(config))


def is_loopback(host: str) -> bool:
    """True for an address that only this machine reaches; names other than localhost may mean anything."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _genesis(config: Config) -> Iterator[Fault]:
    """Without a root another chain's duties would be signed; without a time nothing can be told to be far ahead.

    The preset `test` alone may do without the time, and so without the far-future guard.
    """
    network = config.network
    builtin = None if network.config_file else find_network(network.name)
    name = network.config_file or network.name
    known_root = network.genesis_validators_root or (builtin and builtin.genesis_validators_root)
    if known_root is None and not network.pin_first_seen:
        yield fault_of(
            config,
            "network.genesis_validators_root",
            f"network {name} has no genesis_validators_root of its own, and none is set",
            "set network.genesis_validators_root to the root of the network's genesis state "
            "(a beacon node tells it: /eth/v1/beacon/genesis)",
        )
    known_time = network.genesis_time if network.genesis_time is not None else builtin and builtin.genesis_time
    guarded = config.clock.far_future_epochs is not None and config.preset is not Preset.TEST
    if known_time is None and guarded:
        yield fault_of(
            config,
            "network.genesis_time",
            f"network {name} has no genesis_time of its own, and none is set",
            "set network.genesis_time (a beacon node tells it: /eth/v1/beacon/genesis)",
        )


def _open_listener(config: Config) -> Iterator[Fault]:
    authenticated = config.security.require_authentication or config.server.tls.demands_client_certificate
    if is_loopback(config.server.host) or authenticated:
        return
    yield fault_of(
        config,
        "server.host",
        f"server.host {config.server.host} lets other machines in, and nobody is asked who they are",
        "listen on 127.0.0.1, or demand client certificates (server.tls.client_ca_file or "
        "server.tls.known_clients_file), or name principals and set security.require_authentication: true",
    )


def _unasked_principals(config: Config) -> Iterator[Fault]:
    """Said in so many words (`require_authentication: false`) it is a warning; forgotten it stops the start."""
    if not _is_written(config, "security.require_authentication"):
        yield from _principals_that_bind_nobody(config)


def _unasked_principals_elsewhere(config: Config) -> Iterator[Fault]:
    if config.check_exposure is _is_written(config, "security.require_authentication"):
        yield from _principals_that_bind_nobody(config)


def _principals_that_bind_nobody(config: Config) -> Iterator[Fault]:
    """Who shows nothing may do everything: naming others, and what they may do, is no protection then."""
    security = config.security
    if security.principals and not security.require_authentication:
        yield fault_of(
            config,
            "security.require_authentication",
            "security.principals names callers, and security.require_authentication is not on: whoever shows no "
            "credential may do everything, so the principals' limits bind nobody",
            "set security.require_authentication: true, or take the principals out",
        )


def _is_written(config: Config, key: str) -> bool:
    return key in config.sources


def _short_secrets(config: Config) -> Iterator[Fault]:
    shortest = config.security.minimum_secret_characters
    for key, file in _chosen_secrets(config):
        if not file.is_file() or len(read_first_line(file, key=key)) >= shortest:
            continue
        yield fault_of(
            config,
            key,
            f"the secret in {file} ({key}) has fewer than {shortest} characters",
            f"write a longer one, such as `openssl rand -hex 32` prints, to {file}",
        )


def _chosen_secrets(config: Config) -> Iterator[tuple[str, Path]]:
    """The secrets that an operator invents; keystores' passwords came with the keystores."""
    if config.storage.master_key.password_file is not None:
        yield "storage.master_key.password_file", config.storage.master_key.password_file
    for index, principal in enumerate(config.security.principals):
        for name in ("token_file", "password_file"):
            file = getattr(principal, name)
            if file is not None:
                yield f"security.principals[{index}].{name}", file


def _plain_credentials(config: Config) -> Iterator[Fault]:
    if config.security.principals and not config.server.tls.enabled and not is_loopback(config.server.host):
        yield fault_of(
            config,
            "server.tls.certificate_file",
            "tokens and passwords cross the network unencrypted",
            "set server.tls, or make sure that the network between client and signer is private",
        )


def _unchecked_database(config: Config) -> Iterator[Fault]:
    if config.journal.url.is_shared and not config.journal.url.is_checked:
        yield fault_of(
            config,
            "journal.url",
            "the database is on another machine, and its certificate is not checked: whoever stands in between could "
            "pose as it, and a record that is not kept costs slashings",
            "add sslmode=verify-full&sslrootcert=FILE to journal.url, or keep the network in between private",
        )


def _open_configuration(config: Config) -> Iterator[Fault]:
    """A password in the file itself makes it a secret."""
    if config.file is not None and config.journal.url.holds_password and is_open_to_others(config.file):
        yield fault_of(
            config,
            "journal.url",
            f"{config.file} holds the database's password in journal.url, and others may read it",
            f"chmod 600 {config.file}, or move the password to a file of its own, named in journal.password_file",
        )


def _open_metrics(config: Config) -> Iterator[Fault]:
    if config.metrics.enabled and not is_loopback(config.metrics.host):
        yield fault_of(
            config,
            "metrics.host",
            f"metrics.host {config.metrics.host} shows the metrics to other machines, unencrypted",
            "listen on 127.0.0.1, or let only the metrics collector reach the port",
        )


def _any_host(config: Config) -> Iterator[Fault]:
    if {"*", "all"} & set(config.server.allowed_hosts):
        yield fault_of(
            config,
            "server.allowed_hosts",
            "server.allowed_hosts takes any name: a web page opened on this network could reach the signer",
            "name the hosts by which your clients call the signer",
        )


def _unasked_clock(config: Config) -> Iterator[Fault]:
    if config.check_clock and config.clock.source == "trusted":
        yield fault_of(
            config,
            "clock.source",
            "clock.source is trusted: nobody is asked whether the clock is right",
            "use clock.source: kernel or ntp:HOST where one can be asked",
        )


def _far_ahead(config: Config) -> Iterator[Fault]:
    ahead = config.clock.far_future_epochs
    if ahead is not None and ahead > DAY_OF_EPOCHS and config.preset is not Preset.TEST:
        yield fault_of(
            config,
            "clock.far_future_epochs",
            f"clock.far_future_epochs is {ahead}: a vote so far ahead of the clock forbids all before it",
            "set it to the few epochs that your clients sign ahead (1 serves all of them)",
        )


def _mounted_secrets(config: Config) -> Iterator[Fault]:
    if config.check_exposure:
        yield from mounted_secrets(config)


def _empty_file(config: Config) -> Iterator[Fault]:
    """A redirection whose command failed leaves one, and so does a mount of nothing."""
    if config.file is None or any(_is_in_file(source, config.file) for source in config.sources.values()):
        return
    yield Fault(
        "",
        str(config.file),
        f"{config.file} sets nothing: every key has its default, for the network {config.network.name}",
        "write it again if a command failed to fill it; `holdfast config reference --example` prints one to begin with",
    )


def _is_in_file(source: str, file: Path) -> bool:
    """Sources in the file are its name, as it was given, and a line."""
    return Path(source.rpartition(":")[0]).name == file.name


_Check = Callable[[Config], Iterable[Fault]]

_ON_PAPER: tuple[_Check, ...] = (_open_listener, _unasked_principals)
_OF_FILES: tuple[_Check, ...] = (
    open_data_directory,
    open_secret_files,
    open_key_files,
    _open_configuration,
    _short_secrets,
)
_WARNINGS: tuple[_Check, ...] = (
    _empty_file,
    _plain_credentials,
    _unchecked_database,
    _open_metrics,
    _any_host,
    _unasked_clock,
    _far_ahead,
    _unasked_principals_elsewhere,
    _mounted_secrets,
    find_tls_warnings,
)
