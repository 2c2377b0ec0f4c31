"""A Web3Signer configuration becomes ours; whatever is lost on the way is said, and no secret is repeated."""

from pathlib import Path

import pytest

from signer.config.from_web3signer import Conversion, convert
from signer.config.load import load_config
from signer.config.sections import Config
from signer.config.setting import leaves
from signer.config.web3signer_options import OPTIONS
from signer.errors import ConfigError
from signer.journal.address import SPELLING

FULL = """
data-path: /var/lib/web3signer
key-config-path: keys
logging: WARN
logging-format: PLAIN
http-listen-host: 127.0.0.2
http-listen-port: 9900
http-host-allowlist: [localhost, signer]
http-cors-origins: "https://a, https://b"
idle-connection-timeout-seconds: 30
access-logs-enabled: true
vertx-worker-pool-size: 100
metrics-enabled: true
metrics-host: localhost
metrics-port: 9999
metrics-host-allowlist: "*"
metrics-category: [HTTP]
signer-load-parallel: false
tls-keystore-file: server.p12
tls-keystore-password-file: server.password
tls-known-clients-file: known-clients.txt
eth2.network: hoodi
eth2.keystores-path: keystores
eth2.keystores-passwords-path: passwords
eth2.Xsigning-ext-enabled: true
eth2.slashing-protection-db-url: jdbc:postgresql://db/web3signer
eth2.slashing-protection-db-username: postgres
eth2.slashing-protection-db-password: hunter2
eth2.key-manager-api-enabled: false
eth2.slashing-protection-enabled: true
"""


def load_converted(conversion: Conversion, directory: Path, *, files_must_exist: bool = False) -> Config:
    file = directory / "holdfast.yaml"
    file.write_text(conversion.yaml_text)
    return load_config(file, environ={}, flags={}, working_directory=directory, files_must_exist=files_must_exist)


def reasons(conversion: Conversion) -> dict[str, str]:
    return {each.option: each.reason for each in conversion.not_carried}


def test_a_full_file_becomes_ours(tmp_path: Path) -> None:
    for directory in ("keys", "keystores", "passwords"):
        (tmp_path / directory).mkdir()
    for file in ("server.p12", "server.password", "known-clients.txt"):
        (tmp_path / file).touch()
    conversion = convert(FULL, {})
    config = load_converted(conversion, tmp_path, files_must_exist=True)
    assert config.keys.config_directory == tmp_path / "keys"
    assert config.keys.keystores_directory == tmp_path / "keystores"
    assert config.keys.passwords_directory == tmp_path / "passwords"
    assert config.keys.load_workers == 1
    assert (config.logging.level, config.logging.format) == ("warning", "console")
    assert (config.server.host, config.server.port) == ("127.0.0.2", 9900)
    assert config.server.allowed_hosts == ("localhost", "signer")
    assert config.server.cors_origins == ("https://a", "https://b")
    assert config.server.keep_alive_seconds == 120
    assert config.server.access_log is True
    assert (config.metrics.enabled, config.metrics.host, config.metrics.port) == (True, "localhost", 9999)
    assert config.metrics.allowed_hosts == ("*",)
    assert config.server.tls.pkcs12_file == tmp_path / "server.p12"
    assert config.server.tls.password_file == tmp_path / "server.password"
    assert config.server.tls.known_clients_file == tmp_path / "known-clients.txt"
    assert config.network.name == "hoodi"
    assert config.security.extension_signing is True
    assert set(reasons(conversion)) == {
        "data-path",
        "vertx-worker-pool-size",
        "metrics-category",
        "eth2.slashing-protection-db-url",
        "eth2.slashing-protection-db-username",
        "eth2.slashing-protection-db-password",
    }
    assert "hunter2" not in repr(conversion)
    assert not config.journal.url.is_shared, "nothing is adopted that nobody asked for"


@pytest.mark.parametrize(
    ("url", "user", "ours"),
    [
        ("jdbc:postgresql://db/w3s", "web3signer", "postgresql://web3signer@db/w3s"),
        ("jdbc:postgresql://db:5433/w3s?sslmode=require", "a@b", "postgresql://a%40b@db:5433/w3s?sslmode=require"),
        ("jdbc:postgresql://db/w3s?user=u&password=hunter2&ssl=true", "", "postgresql://u@db/w3s"),
        ("jdbc:postgresql://one:1,two:2/w3s", "u", "postgresql://u@one:1,two:2/w3s"),
        ("jdbc:postgresql://u:hunter2@db/w3s", "u", SPELLING),
        ("jdbc:postgresql:w3s", "u", SPELLING),
        ("jdbc:postgresql://db/w3s", "", SPELLING),
        ("hunter2", "u", SPELLING),
    ],
)
def test_the_same_database_is_offered_and_never_its_password(url: str, user: str, ours: str) -> None:
    written = f'eth2.slashing-protection-db-url: "{url}"\neth2.slashing-protection-db-password: hunter2\n'
    environ = {"WEB3SIGNER_ETH2_SLASHING_PROTECTION_DB_USERNAME": user}
    conversion = convert(written, environ)
    [remark] = [each for each in conversion.remarks if "journal.url" in each]
    assert f"journal.url: {ours} and " in remark
    assert f"# note: {remark}" in conversion.yaml_text
    assert "hunter2" not in repr(conversion)


def test_what_was_not_carried_over_is_said_with_its_place_and_again_in_the_file() -> None:
    conversion = convert(FULL, {}, name="w3s.yaml")
    pool = next(each for each in conversion.not_carried if each.option == "vertx-worker-pool-size")
    assert pool.where == "w3s.yaml:12"
    assert "server.workers" in pool.reason
    for each in conversion.not_carried:
        assert f"# not carried over: {each.option} ({each.where}): " in conversion.yaml_text
    for remark in conversion.remarks:
        assert f"# note: {remark}" in conversion.yaml_text


def test_variables_stand_above_the_file_and_have_the_subcommand_in_their_names(tmp_path: Path) -> None:
    environ = {
        "WEB3SIGNER_HTTP_LISTEN_PORT": "9100",
        "WEB3SIGNER_ETH2_NETWORK": "SEPOLIA",
        "WEB3SIGNER_ETH2_XSIGNING_EXT_ENABLED": "True",
        "WEB3SIGNER_ETH2_SLASHING_PROTECTION_DB_PASSWORD": "hunter2",
        "WEB3SIGNER_HTTP_HOST_ALLOWLIST": "a,b",
        "WEB3SIGNER_ETH1_CHAIN_ID": "1",
        "WEB3SIGNER_MADE_UP": "x",
        "WEB3SIGNER_CONFIG_FILE": "/etc/web3signer.yaml",
        "HOLDFAST_SERVER__PORT": "1",
    }
    conversion = convert("http-listen-port: 9000\n", environ)
    config = load_converted(conversion, tmp_path)
    assert (config.server.port, config.network.name) == (9100, "sepolia")
    assert config.server.allowed_hosts == ("a", "b")
    assert config.security.extension_signing is True
    assert set(reasons(conversion)) == {
        "eth2.slashing-protection-db-password",
        "eth1.chain-id",
        "WEB3SIGNER_MADE_UP",
    }
    assert "hunter2" not in repr(conversion)


@pytest.mark.parametrize(
    ("text", "option", "words"),
    [
        ("eth2.slashing-protection-enabled: false", "eth2.slashing-protection-enabled", "refused on purpose"),
        ("eth2: {slashing-protection-enabled: false}", "eth2.slashing-protection-enabled", "refused on purpose"),
        ("eth2.Xnetwork-electra-fork-epoch: 5", "eth2.Xnetwork-electra-fork-epoch", "network.config_file"),
        ("eth2.azure-vault-enabled: true", "eth2.azure-vault-enabled", "vaults"),
        ("eth2.aws-secrets-region: eu", "eth2.aws-secrets-region", "vaults"),
        ("eth2.gcp-secrets-enabled: true", "eth2.gcp-secrets-enabled", "vaults"),
        ("eth2.Xkey-manager-skip-keystore-storage: true", "eth2.Xkey-manager-skip-keystore-storage", "kept sealed"),
        ("eth2.network: lukso", "eth2.network", "network.config_file"),
        ("eth1.chain-id: 1", "eth1.chain-id", "eth2"),
        ("logging: OFF", "logging", "hide refusals"),
        ("metrics-push-enabled: true", "metrics-push-enabled", "scrape"),
        ("swagger-ui: true", "swagger-ui", "no option"),
        (
            "eth2.slashing-protection-pruning-slots-per-epoch: 32",
            "eth2.slashing-protection-pruning-slots-per-epoch",
            "network",
        ),
    ],
)
def test_an_option_without_a_place_is_explained(tmp_path: Path, text: str, option: str, words: str) -> None:
    conversion = convert(text, {})
    assert words in reasons(conversion)[option]
    load_converted(conversion, tmp_path)


@pytest.mark.parametrize(
    "text",
    [
        "eth2.slashing-protection-enabled: true",
        "eth2.azure-vault-enabled: false",
        "eth2.commit-boost-api-enabled: false",
        "metrics-push-enabled: false",
        "signer-load-parallel: true",
        "tls-allow-any-client: false",
        "tls-allow-ca-clients: false",
        "config-file: x",
        "",
    ],
)
def test_an_option_that_asks_for_what_we_do_anyway_is_silent(text: str) -> None:
    assert convert(text, {}).not_carried == ()


def test_hosts_and_origins_keep_their_special_words(tmp_path: Path) -> None:
    steps = [("*", ("*",)), ("all", ("*",)), ("ALL", ("*",)), ("none", ()), ("a, b", ("a", "b"))]
    for written, hosts in steps:
        text = f'http-host-allowlist: "{written}"\nhttp-cors-origins: "{written}"\n'
        config = load_converted(convert(text, {}), tmp_path)
        assert config.server.allowed_hosts == hosts
        assert config.server.cors_origins == ((".*",) if hosts == ("*",) else hosts)


def test_tls_policies_are_carried_over(tmp_path: Path) -> None:
    server = "tls-keystore-file: p\ntls-keystore-password-file: w\n"
    anyone = load_converted(convert(server + "tls-allow-any-client: true", {}), tmp_path)
    assert anyone.server.tls.allow_any_client
    authorities = convert(server + "tls-allow-ca-clients: true", {})
    assert load_converted(authorities, tmp_path).server.tls.demands_client_certificate
    assert any("every authority" in remark for remark in authorities.remarks)


def test_a_network_by_path_says_what_must_be_added(tmp_path: Path) -> None:
    conversion = convert("eth2.network: ./devnet/config.yaml", {})
    assert load_converted(conversion, tmp_path).network.config_file == tmp_path / "devnet/config.yaml"
    assert any("network.genesis_validators_root" in remark for remark in conversion.remarks)


def test_what_production_will_refuse_is_said_beforehand() -> None:
    assert any("nobody is asked who they are" in remark for remark in convert("http-listen-host: 0.0.0.0", {}).remarks)
    assert not any("nobody is asked" in remark for remark in convert("http-listen-host: 127.0.0.1", {}).remarks)


def test_relative_paths_and_the_default_key_directory_are_remarked_upon() -> None:
    assert any("relative paths" in remark for remark in convert("key-config-path: ./keys", {}).remarks)
    assert convert("key-config-path: /keys", {}).remarks == ()
    assert any("working directory" in remark for remark in convert("", {}).remarks)


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("http-listen-port: many", "w3s.yaml:1"),
        ("\ntls-keystore-file: p", "w3s.yaml:2"),
        ("http-listen-port: 1\nhttp-listen-port: 2", "w3s.yaml:2"),
        ("- a", "w3s.yaml:1"),
        ("eth2.keystores-path: k", "w3s.yaml:1"),
    ],
)
def test_what_web3signer_would_refuse_too_is_refused_with_its_line(text: str, where: str) -> None:
    with pytest.raises(ConfigError) as raised:
        convert(text, {}, name="w3s.yaml")
    assert raised.value.where == where


@pytest.mark.parametrize(
    ("text", "key", "sentence", "remedy"),
    [
        ("http-listen-port: abc", "http-listen-port", "http-listen-port wants a whole number", ""),
        (
            "tls-keystore-file: p",
            "tls-keystore-file",
            "tls-keystore-file needs tls-keystore-password-file",
            "set tls-keystore-password-file, or leave tls-keystore-file out",
        ),
        (
            "tls-keystore-password-file: p",
            "tls-keystore-password-file",
            "tls-keystore-password-file needs tls-keystore-file",
            "set tls-keystore-file, or leave",
        ),
        (
            "tls-keystore-file: p\ntls-keystore-password-file: q",
            "tls-keystore-file",
            "TLS is on and nothing says which clients may connect",
            "tls-allow-any-client: true",
        ),
        ("eth2.keystores-path: k", "eth2.keystores-path", "eth2.keystores-p", "eth2.keystores-password-file"),
        ("metrics-port: -1", "metrics-port", "metrics-port wants", ""),
    ],
)
def test_a_fault_is_told_with_the_names_of_the_file_at_hand(text: str, key: str, sentence: str, remedy: str) -> None:
    with pytest.raises(ConfigError) as raised:
        convert(text, {}, name="w3s.yaml")
    error = raised.value
    assert error.key == key
    assert sentence in error.sentence
    assert remedy in error.remedy
    assert not {leaf.key for leaf in leaves(Config) if leaf.key in error.sentence + error.remedy}


def test_no_text_of_the_file_escapes_from_its_comment(tmp_path: Path) -> None:
    conversion = convert('"x\\nserver: {port: 1}": 1\n', {}, name="a\nserver: {port: 2}")
    assert load_converted(conversion, tmp_path).server.port == 9000


def test_odd_values_are_quoted_so_that_they_stay_what_they_are(tmp_path: Path) -> None:
    for path in ("/a b", "/a: b", "/a #b", "/ü", "007", "true", "/a'b\"c", "&x"):
        conversion = convert(
            f"key-config-path: {path!r}" if "'" not in path else "", {"WEB3SIGNER_KEY_CONFIG_PATH": path}
        )
        assert load_converted(conversion, tmp_path).keys.config_directory == tmp_path / path


def test_every_option_leads_to_a_key_of_ours_or_says_why_not() -> None:
    keys = {leaf.key for leaf in leaves(Config)}
    assert len({option.name for option in OPTIONS}) == len(OPTIONS)
    for option in OPTIONS:
        assert option.ours in keys or option.note, option.name
