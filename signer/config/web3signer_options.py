"""Every option of Web3Signer (`reference` of its command line, 26.x): our key for it, or why there is none.

An option is named as in its YAML file: `http-listen-port`, `eth2.network`.
"""

from collections.abc import Callable
from dataclasses import dataclass

from signer.config.chain import NetworkName
from signer.config.reading import choices
from signer.operations.record_orders import LEAST_KEPT_EPOCHS

MINIMUM_KEEP_ALIVE_SECONDS = 120
"""What `server.keep_alive_seconds` takes at least."""

SYSTEM_AUTHORITIES = "/etc/ssl/certs/ca-certificates.crt"
"""The authorities the operating system trusts, on Debian, Ubuntu and Alpine."""

SHARED_NETWORKS = choices(NetworkName)
"""Names of networks that both know."""


@dataclass(frozen=True, slots=True)
class Carry:
    """The option becomes these keys of ours, each with the text of its value."""

    keys: tuple[tuple[str, str | tuple[str, ...]], ...]
    remark: str = ""
    """What is different nevertheless."""


@dataclass(frozen=True, slots=True)
class Drop:
    """The option has no place with us."""

    reason: str


@dataclass(frozen=True, slots=True)
class Agree:
    """What the option asks for is what we do anyway."""


Outcome = Carry | Drop | Agree
Converter = Callable[[tuple[str, ...]], Outcome]


@dataclass(frozen=True, slots=True)
class Option:
    """One option of Web3Signer."""

    name: str
    ours: str
    """Our key, or empty."""

    note: str
    """Why there is none, or what is different; empty where it is the same."""

    convert: Converter

    @property
    def variable(self) -> str:
        """The environment variable that sets it."""
        return "WEB3SIGNER_" + self.name.upper().replace(".", "_").replace("-", "_")


def _same(name: str, ours: str, note: str = "") -> Option:
    def convert(words: tuple[str, ...]) -> Outcome:
        text = words[0].strip() if words else ""
        return Carry(((ours, text.lower() if text.lower() in {"true", "false"} else text),))

    return Option(name, ours, note, convert)


def _listed(name: str, ours: str, *, any_word: str, note: str) -> Option:
    """A list where `*` and `all` mean anything and `none` means nothing."""

    def convert(words: tuple[str, ...]) -> Outcome:
        each = [part.strip() for word in words for part in word.split(",") if part.strip()]
        if {part.lower() for part in each} & {"*", "all"}:
            return Carry(((ours, (any_word,)),))
        return Carry(((ours, tuple(part for part in each if part.lower() != "none")),))

    return Option(name, ours, note, convert)


def _none(name: str, note: str) -> Option:
    return Option(name, "", note, lambda _: Drop(note))


def _switch(name: str, note: str, *, ours: bool = False) -> Option:
    """A switch that we do not have: standing as we behave anyway, it asks for nothing."""

    def convert(words: tuple[str, ...]) -> Outcome:
        return Agree() if _is_true(words) is ours else Drop(note)

    return Option(name, "", note, convert)


def _is_true(words: tuple[str, ...]) -> bool:
    return not words or words[0].lower() != "false"


def _level(words: tuple[str, ...]) -> Outcome:
    levels = {
        "FATAL": "error",
        "ERROR": "error",
        "WARN": "warning",
        "INFO": "info",
        "DEBUG": "debug",
        "TRACE": "debug",
        "ALL": "debug",
    }
    level = levels.get(words[0].upper() if words else "")
    if level is None:
        return Drop("there is no such level; a log that is off would hide refusals")
    return Carry((("logging.level", level),))


def _format(words: tuple[str, ...]) -> Outcome:
    if words and words[0].upper() == "PLAIN":
        return Carry((("logging.format", "console"),))
    return Carry((("logging.format", "json"),), remark="our JSON lines have field names of their own")


def _keep_alive(words: tuple[str, ...]) -> Outcome:
    seconds = words[0] if words else ""
    if seconds.isdecimal() and int(seconds) < MINIMUM_KEEP_ALIVE_SECONDS:
        return Carry(
            (("server.keep_alive_seconds", str(MINIMUM_KEEP_ALIVE_SECONDS)),),
            remark=f"raised to {MINIMUM_KEEP_ALIVE_SECONDS}: with less, connections are closed under a client's duty",
        )
    return Carry((("server.keep_alive_seconds", seconds),))


def _parallel(words: tuple[str, ...]) -> Outcome:
    return Agree() if _is_true(words) else Carry((("keys.load_workers", "1"),))


def _authorities(words: tuple[str, ...]) -> Outcome:
    if not _is_true(words):
        return Agree()
    return Carry(
        (("server.tls.client_ca_file", SYSTEM_AUTHORITIES),),
        remark="this trusts every authority the operating system trusts; name the file of your own authority instead",
    )


def _any_client(words: tuple[str, ...]) -> Outcome:
    return Carry((("server.tls.allow_any_client", "true"),)) if _is_true(words) else Agree()


def _kept_epochs(words: tuple[str, ...]) -> Outcome:
    epochs = words[0] if words else ""
    if epochs.isdecimal() and int(epochs) < LEAST_KEPT_EPOCHS:
        return Carry(
            (("journal.prune_keep_epochs", str(LEAST_KEPT_EPOCHS)),),
            remark=f"raised to {LEAST_KEPT_EPOCHS}: what is pruned is no evidence any more",
        )
    return Carry((("journal.prune_keep_epochs", epochs),))


def _interval(words: tuple[str, ...]) -> Outcome:
    hours = words[0] if words else ""
    seconds = str(int(hours) * 3600) if hours.isdecimal() else hours
    return Carry((("journal.prune_interval_seconds", seconds),))


def _network(words: tuple[str, ...]) -> Outcome:
    name = words[0] if words else ""
    if name.lower() in SHARED_NETWORKS:
        return Carry((("network.name", name.lower()),))
    if "/" in name or name.endswith((".yaml", ".yml")):
        return Carry(
            (("network.config_file", name),),
            remark="add network.genesis_validators_root and network.genesis_time: we pin the chain, and do not take "
            "the first request's word for it",
        )
    return Drop(
        f"there is no built-in network {name!r}; give its consensus config.yaml in network.config_file. Until then the "
        "default, mainnet, refuses that chain's duties"
    )


def _protection(words: tuple[str, ...]) -> Outcome:
    if _is_true(words):
        return Agree()
    return Drop("refused on purpose: no switch turns slashing protection off, and it needs no database server here")


_VAULTS = "keys from cloud vaults are not loaded yet; export them to keystores, or keep Web3Signer for those keys"
_DATABASE = (
    "the slashing database is built in: `web3signer eth2 export --to=FILE`, then `holdfast slashing import FILE`, "
    "with Web3Signer stopped. Or go on with that one: `journal.url: postgresql://USER@HOST:PORT/DATABASE` adopts it as "
    "it stands"
)
_PRUNING = "pruning needs no connections of its own, and takes the network's slots an epoch as they are"
_POOL = "there is no pool of worker threads to size; see server.workers and server.signing_threads"
_ETH1 = "only `eth2` is served: Ethereum transactions are not signed yet"
_COMMIT_BOOST = "the commit-boost API is not served yet"
_KEY_MANAGER = "it asks for the bearer token in key_manager.token_file, which `holdfast init` makes"
_KEYSTORE_STORAGE = "imported keys are kept sealed in the data directory, never as keystores with clear passwords"
_SUBCOMMAND = "an argument of a command, not a setting; see `holdfast slashing --help`"
_WATERMARK_REPAIR = (
    "a command: `holdfast slashing watermark`; low ones rise with --low-epoch and --low-slot, the high one is set with "
    "--high-epoch and --high-slot and removed with --clear-high"
)
_FORK_EPOCH = (
    "fork epochs come with the network; put them in its consensus config.yaml and name it in network.config_file"
)
_PUSH = "metrics are fetched, not pushed; let Prometheus or its agent scrape `metrics.port`"
_LOADING = "files are loaded by all cores, and a slow file holds up no other"

OPTIONS: tuple[Option, ...] = (
    Option("config-file", "", "the file itself: `--config`", lambda _: Agree()),
    _none("data-path", "it only holds Web3Signer's ports file; storage.data_directory is ours, mode 0700"),
    _same("key-config-path", "keys.config_directory"),
    _same("key-store-path", "keys.config_directory"),
    _none("key-store-config-file-max-size", "fixed at Web3Signer's default, 104857600 bytes"),
    Option(
        "logging", "logging.level", "`FATAL` becomes `error`, `TRACE` and `ALL` become `debug`, `OFF` has none", _level
    ),
    Option("logging-format", "logging.format", "`PLAIN` becomes `console`, the others `json`", _format),
    _same("http-listen-host", "server.host"),
    _same("http-listen-port", "server.port"),
    _listed("http-host-allowlist", "server.allowed_hosts", any_word="*", note=""),
    _listed("http-cors-origins", "server.cors_origins", any_word=".*", note="regular expressions, as there"),
    Option("idle-connection-timeout-seconds", "server.keep_alive_seconds", "at least 120", _keep_alive),
    _same("access-logs-enabled", "server.access_log"),
    _none("vertx-worker-pool-size", _POOL),
    _none("reload-timeout", "a reload runs in the background until it is complete; GET /reload tells how it went"),
    _none("signer-load-timeout", _LOADING),
    _none("signer-load-batch-size", _LOADING),
    _none("signer-load-sequential-threshold", _LOADING),
    Option("signer-load-parallel", "keys.load_workers", "`false` becomes 1", _parallel),
    _same("metrics-enabled", "metrics.enabled"),
    _same("metrics-host", "metrics.host"),
    _same("metrics-port", "metrics.port"),
    _none("metrics-category", "every metric is always served"),
    _none("metrics-categories", "every metric is always served"),
    _listed("metrics-host-allowlist", "metrics.allowed_hosts", any_word="*", note=""),
    _switch("metrics-push-enabled", _PUSH),
    _none("metrics-push-host", _PUSH),
    _none("metrics-push-port", _PUSH),
    _none("metrics-push-interval", _PUSH),
    _none("metrics-push-prometheus-job", _PUSH),
    _same("tls-keystore-file", "server.tls.pkcs12_file"),
    _same("tls-keystore-password-file", "server.tls.password_file"),
    _same("tls-known-clients-file", "server.tls.known_clients_file"),
    Option(
        "tls-allow-ca-clients",
        "server.tls.client_ca_file",
        "names the operating system's authorities; better name your own",
        _authorities,
    ),
    Option("tls-allow-any-client", "server.tls.allow_any_client", "", _any_client),
    Option(
        "eth2.network",
        "network.name",
        "a path becomes `network.config_file`, which needs the genesis keys beside it",
        _network,
    ),
    *(
        _none(f"eth2.Xnetwork-{fork}-fork-epoch", _FORK_EPOCH)
        for fork in ("altair", "bellatrix", "capella", "deneb", "electra", "fulu", "gloas")
    ),
    _none("eth2.Xtrusted-setup", "no signing type needs the KZG trusted setup"),
    _same("eth2.Xsigning-ext-enabled", "security.extension_signing"),
    Option("eth2.slashing-protection-enabled", "", "`false` is refused on purpose", _protection),
    _none("eth2.slashing-protection-db-url", _DATABASE),
    _none("eth2.slashing-protection-db-username", _DATABASE),
    _none("eth2.slashing-protection-db-password", _DATABASE),
    _none("eth2.slashing-protection-db-pool-configuration-file", _DATABASE),
    _none("eth2.Xslashing-protection-db-connection-pool-enabled", _DATABASE),
    _none("eth2.slashing-protection-db-health-check-timeout-milliseconds", _DATABASE),
    _none("eth2.slashing-protection-db-health-check-interval-milliseconds", _DATABASE),
    _same("eth2.slashing-protection-pruning-enabled", "journal.prune"),
    _switch(
        "eth2.slashing-protection-pruning-at-boot-enabled",
        "the first pruning is one interval after the start; `holdfast slashing prune` prunes at once",
    ),
    Option(
        "eth2.slashing-protection-pruning-epochs-to-keep",
        "journal.prune_keep_epochs",
        "at least 16; blocks have `journal.prune_keep_slots`",
        _kept_epochs,
    ),
    _none("eth2.slashing-protection-pruning-slots-per-epoch", _PRUNING),
    Option("eth2.slashing-protection-pruning-interval", "journal.prune_interval_seconds", "hours there", _interval),
    _none("eth2.slashing-protection-pruning-db-pool-configuration-file", _PRUNING),
    _same("eth2.keystores-path", "keys.keystores_directory"),
    _same("eth2.keystores-passwords-path", "keys.passwords_directory"),
    _same("eth2.keystores-password-file", "keys.password_file"),
    _same("eth2.key-manager-api-enabled", "key_manager.enabled", _KEY_MANAGER),
    _same("eth2.enable-key-manager-api", "key_manager.enabled", _KEY_MANAGER),
    _switch("eth2.Xkey-manager-skip-keystore-storage", _KEYSTORE_STORAGE),
    _switch("eth2.commit-boost-api-enabled", _COMMIT_BOOST),
    _none("eth2.proxy-keystores-path", _COMMIT_BOOST),
    _none("eth2.proxy-keystores-password-file", _COMMIT_BOOST),
    _switch("eth2.azure-vault-enabled", _VAULTS),
    *(
        _none(f"eth2.azure-{name}", _VAULTS)
        for name in (
            "vault-auth-mode",
            "vault-name",
            "client-id",
            "client-secret",
            "tenant-id",
            "tags",
            "response-timeout",
        )
    ),
    _switch("eth2.aws-secrets-enabled", _VAULTS),
    *(
        _none(f"eth2.aws-{name}", _VAULTS)
        for name in (
            "secrets-auth-mode",
            "secrets-access-key-id",
            "secrets-secret-access-key",
            "secrets-region",
            "secrets-prefixes-filter",
            "secrets-tag",
            "endpoint-override",
            "connection-cache-size",
        )
    ),
    _switch("eth2.gcp-secrets-enabled", _VAULTS),
    _none("eth2.gcp-project-id", _VAULTS),
    _none("eth2.gcp-secrets-filter", _VAULTS),
    _none("eth2.export.to", _SUBCOMMAND),
    _none("eth2.import.from", _SUBCOMMAND),
    *(
        _none(f"eth2.watermark-repair.{name}", _WATERMARK_REPAIR)
        for name in ("epoch", "slot", "remove-high-watermark", "set-high-watermark", "validator-ids")
    ),
)
"""In the order of Web3Signer's own reference."""

OPTIONS_BY_NAME = {option.name: option for option in OPTIONS}
OPTIONS_BY_VARIABLE = {option.variable: option for option in OPTIONS}


def find_option(name: str) -> Option | None:
    """The option of a name in its YAML file; options of `eth1` all have the same answer."""
    if name == "l":
        return OPTIONS_BY_NAME["logging"]
    if name.startswith("eth1."):
        return _none(name, _ETH1)
    return OPTIONS_BY_NAME.get(name)


def find_option_of_variable(variable: str) -> Option | None:
    """The option that an environment variable sets."""
    if variable.startswith("WEB3SIGNER_ETH1_"):
        return _none("eth1." + variable.removeprefix("WEB3SIGNER_ETH1_").lower().replace("_", "-"), _ETH1)
    return OPTIONS_BY_VARIABLE.get(variable)
