"""Keys that do not go together are refused, naming both; each table row is one pair."""

from pathlib import Path
from typing import get_args

import pytest

from signer.config.chain import NetworkName
from signer.config.load import load_config
from signer.config.sections import Config
from signer.errors import ConfigError
from signer.eth2.builtin_networks import network_names


def load(tmp_path: Path, text: str, *, environ: dict[str, str] | None = None) -> Config:
    file = tmp_path / "holdfast.yaml"
    file.write_text(text)
    return load_config(file, environ=environ or {}, flags={}, working_directory=tmp_path, files_must_exist=False)


PEM = "certificate_file: c, key_file: k"
ROOT = "0x" + "11" * 32


@pytest.mark.parametrize(
    ("text", "key", "words"),
    [
        ("server: {tls: {certificate_file: c}}", "server.tls.certificate_file", "needs server.tls.key_file"),
        ("server: {tls: {key_file: k}}", "server.tls.key_file", "needs server.tls.certificate_file"),
        ("server: {tls: {pkcs12_file: p}}", "server.tls.pkcs12_file", "needs server.tls.password_file"),
        (f"server: {{tls: {{{PEM}, pkcs12_file: p, password_file: w}}}}", "server.tls.pkcs12_file", "contradict"),
        ("server: {tls: {password_file: w}}", "server.tls.password_file", "needs"),
        ("server: {tls: {client_ca_file: a}}", "server.tls.client_ca_file", "needs"),
        ("server: {tls: {known_clients_file: a}}", "server.tls.known_clients_file", "needs"),
        ("server: {tls: {allow_any_client: true}}", "server.tls.allow_any_client", "needs"),
        (f"server: {{tls: {{{PEM}}}}}", "server.tls.certificate_file", "which clients"),
        ("server: {tls: {pkcs12_file: p, password_file: w}}", "server.tls.pkcs12_file", "which clients"),
        (
            f"server: {{tls: {{{PEM}, allow_any_client: true, client_ca_file: a}}}}",
            "server.tls.client_ca_file",
            "contradict",
        ),
        (
            f"server: {{tls: {{{PEM}, allow_any_client: true, known_clients_file: a}}}}",
            "server.tls.known_clients_file",
            "contradict",
        ),
        ("server: {admin_socket: " + "/d" * 54 + "}", "server.admin_socket", "longer"),
        ("server: {request_deadline_seconds: 2}", "journal.deadline_seconds", "no time to sign"),
        ("server: {port: 9001}\nmetrics: {enabled: true}", "metrics.port", "both 9001"),
        ("server: {cors_origins: ['(']}", "server.cors_origins", "regular expression"),
        ("storage: {master_key: {key_file: a, password_file: b}}", "storage.master_key.password_file", "contradict"),
        ("network: {name: hoodi, config_file: c}", "network.config_file", "one network"),
        ("network: {pin_first_seen: true}", "network.pin_first_seen", "production"),
        (f"network: {{genesis_validators_root: {ROOT}}}", "network.genesis_validators_root", "not that of mainnet"),
        ("network: {name: hoodi, genesis_time: 1}", "network.genesis_time", "not that of hoodi, 1742213400"),
        ("clock: {far_future_epochs: null}", "clock.far_future_epochs", "preset test alone"),
        ("clock: {far_future_epochs: 82126}", "clock.far_future_epochs", "82126 epochs"),
        ("clock: {far_future_epochs: 18446744073709551615}", "clock.far_future_epochs", "there is none"),
        ("preset: development\nclock: {far_future_epochs: null}", "clock.far_future_epochs", "preset test alone"),
        ("clock: {source: ntp}", "clock.source", "no clock source"),
        ("clock: {source: 'ntp:host:99999'}", "clock.source", "no clock source"),
        ("keys: {keystores_directory: k}", "keys.keystores_directory", "needs"),
        ("keys: {password_file: p}", "keys.password_file", "needs keys.keystores_directory"),
        ("keys: {passwords_directory: p}", "keys.passwords_directory", "needs keys.keystores_directory"),
        (
            "keys: {keystores_directory: k, passwords_directory: p, password_file: f}",
            "keys.password_file",
            "one password",
        ),
        ("logging: {outputs: [file]}", "logging.outputs", "logging.file is not set"),
        ("logging: {file: f}", "logging.file", "nothing would be written"),
        ("logging: {outputs: []}", "logging.outputs", "empty"),
        ("namespaces: {names: []}", "namespaces.names", "empty"),
        ("metrics: {buckets_seconds: []}", "metrics.buckets_seconds", "ascending"),
        ("metrics: {buckets_seconds: [1, 0.5]}", "metrics.buckets_seconds", "ascending"),
        ("metrics: {buckets_seconds: [1, 1]}", "metrics.buckets_seconds", "ascending"),
        ("security: {require_authentication: true}", "security.require_authentication", "nobody"),
        ("security: {principals: [{name: a}]}", "security.principals[0].name", "no proof"),
        ("security: {principals: [{name: operator, token_file: t}]}", "security.principals[0].name", "reserved"),
        (
            "security: {principals: [{name: a, token_file: t}, {name: a, token_file: t}]}",
            "security.principals[1].name",
            "another principal",
        ),
        (
            f"security: {{principals: [{{name: a, token_file: t, token_sha256: {ROOT}}}]}}",
            "security.principals[0].token_file",
            "contradict",
        ),
        (
            "security: {principals: [{name: a, password_file: t, password_hash: x}]}",
            "security.principals[0].password_file",
            "contradict",
        ),
        (
            "security: {principals: [{name: a, password_hash: x}]}",
            "security.principals[0].password_hash",
            "not a password hash",
        ),
        (
            "security: {principals: [{name: a, certificate: {common_name: a}}]}",
            "security.principals[0].certificate.common_name",
            "asks for none",
        ),
        (
            "security: {principals: [{name: a, token_file: t, duties: [ATTESTATIONS]}]}",
            "security.principals[0].duties",
            "no signing type",
        ),
    ],
)
def test_keys_that_do_not_go_together_are_refused(tmp_path: Path, text: str, key: str, words: str) -> None:
    with pytest.raises(ConfigError) as raised:
        load(tmp_path, text)
    assert raised.value.key == key
    assert words in raised.value.sentence
    assert raised.value.remedy
    written = key in {"journal.deadline_seconds", "metrics.port"}
    assert raised.value.where == "default" if written else "holdfast.yaml:" in raised.value.where


@pytest.mark.parametrize(
    "text",
    [
        f"server: {{tls: {{{PEM}, client_ca_file: a, known_clients_file: b}}}}",
        "server: {tls: {pkcs12_file: p, password_file: w, allow_any_client: true}}",
        f"server: {{tls: {{{PEM}, password_file: w, client_ca_file: a, allow_any_client: false}}}}",
        "server: {port: 9001}",
        "server: {port: 0}\nmetrics: {port: 0, enabled: true}",
        "server: {port: 9001, host: 10.0.0.1}\nmetrics: {enabled: true}",
        "storage: {master_key: {password_file: b}}",
        "storage: {master_key: {key_file: b, password_file: null}}",
        "network: {name: hoodi, genesis_time: 1742213400}",
        f"network: {{name: minimal, genesis_time: 1, genesis_validators_root: {ROOT}}}",
        f"network: {{config_file: c, genesis_time: 1, genesis_validators_root: {ROOT}}}",
        "preset: test\nclock: {far_future_epochs: null}",
        "preset: development\nnetwork: {pin_first_seen: true}",
        "clock: {source: 'ntp:[::1]:11123'}",
        "keys: {keystores_directory: k, password_file: f}",
        "logging: {outputs: [stderr, file], file: f}",
        "security: {principals: [{name: a, token_file: t, password_file: p, duties: [ATTESTATION, BLOCK_V2]}]}",
        "security: {principals: [{name: a, password_hash: 'sha256$00$" + "11" * 32 + "'}]}",
    ],
)
def test_keys_that_go_together_are_taken(tmp_path: Path, text: str) -> None:
    load(tmp_path, text)


def test_a_contradiction_between_layers_names_both_places(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as raised:
        load(tmp_path, "network: {name: hoodi}", environ={"HOLDFAST_NETWORK__CONFIG_FILE": "c"})
    assert raised.value.where == "environment HOLDFAST_NETWORK__CONFIG_FILE"
    assert "holdfast.yaml:1" in raised.value.sentence


def test_the_networks_we_name_are_the_networks_we_have() -> None:
    assert get_args(NetworkName) == network_names()
