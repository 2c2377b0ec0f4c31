"""What is wrong is said with file and line, key and remedy, and nothing is started with it."""

import sys
from pathlib import Path

import pytest

from signer.config.load import load_config
from signer.errors import ConfigError
from signer.written import MAX_DEPTH


def fault(tmp_path: Path, text: str | None = None, **layers: object) -> ConfigError:
    file = None
    if text is not None:
        file = tmp_path / "holdfast.yaml"
        file.write_text(text)
    arguments: dict[str, object] = {"environ": {}, "flags": {}, "working_directory": tmp_path, **layers}
    with pytest.raises(ConfigError) as raised:
        load_config(file, **arguments)  # type: ignore[arg-type]
    return raised.value


@pytest.mark.parametrize(
    ("text", "line", "key", "remedy"),
    [
        ("server:\n  prot: 1\n", 2, "server.prot", "server.port"),
        ("\nsevrer:\n  port: 1\n", 2, "sevrer", "server"),
        ("server:\n  level: info\n", 2, "server.level", "logging.level"),
        ("server.port: 1\n", 1, "server.port", "nested"),
        ("server:\n  tls:\n    key: x\n", 3, "server.tls.key", "key_file"),
        ("server:\n  wibble: x\n", 2, "server.wibble", "the keys here are host, port"),
        ("http-listen-port: 9000\n", 1, "http-listen-port", "from-web3signer"),
        ("journal:\n  sync_mode: none\n", 2, "journal.sync_mode", "on purpose"),
        ("journal: {synchronous: normal}\n", 1, "journal.synchronous", "on purpose"),
        ("slashing_protection:\n  enabled: false\n", 1, "slashing_protection", "on purpose"),
        (
            "security:\n  principals:\n    - name: a\n      tokenfile: x\n",
            4,
            "security.principals[0].tokenfile",
            "token_file",
        ),
        ("<<: {port: 1}\n", 1, "<<", "the keys here are"),
    ],
)
def test_an_unknown_key_is_named_with_its_line_and_the_nearest_one(
    tmp_path: Path, text: str, line: int, key: str, remedy: str
) -> None:
    raised = fault(tmp_path, text)
    assert raised.where == f"{tmp_path}/holdfast.yaml:{line}"
    assert raised.key == key
    assert key in raised.sentence
    assert remedy in raised.remedy


@pytest.mark.parametrize(
    ("text", "line", "key", "sentence"),
    [
        ("server:\n  port: lots\n", 2, "server.port", "a whole number from 0 to 65535, not 'lots'"),
        ("server:\n  port: 65536\n", 2, "server.port", "from 0 to 65535"),
        ("server:\n  port: -1\n", 2, "server.port", "from 0 to 65535"),
        ("server:\n  port: 0x10\n", 2, "server.port", "not '0x10'"),
        ("server:\n  port: 0777\n", 2, "server.port", "not '0777'"),
        ("server:\n  port: 9_000\n", 2, "server.port", "not '9_000'"),
        ("server:\n  port: 9000.0\n", 2, "server.port", "not '9000.0'"),
        ("server:\n  port: '9000'\n", 2, "server.port", "a whole number"),
        ("server:\n  port: true\n", 2, "server.port", "a whole number"),
        ("server:\n  port: ~\n", 2, "server.port", "a whole number"),
        ("server:\n  port: [1]\n", 2, "server.port", "not a list"),
        ("server:\n  port: {a: 1}\n", 2, "server.port", "a whole number"),
        ("server:\n  port: 99999999999999999999999\n", 2, "server.port", "a whole number"),
        ("server:\n  keep_alive_seconds: 75\n", 2, "server.keep_alive_seconds", "from 120"),
        ("server:\n  request_deadline_seconds: .nan\n", 2, "server.request_deadline_seconds", "a number"),
        ("server:\n  request_deadline_seconds: .inf\n", 2, "server.request_deadline_seconds", "a number"),
        ("server:\n  request_deadline_seconds: 1e999\n", 2, "server.request_deadline_seconds", "a number"),
        ("server:\n  access_log: yes\n", 2, "server.access_log", "true or false, not 'yes'"),
        ("server:\n  access_log: 'true'\n", 2, "server.access_log", "true or false"),
        ("server:\n  access_log: 1\n", 2, "server.access_log", "true or false"),
        ("server:\n  host: no\n", 2, "server.host", "a text"),
        ("server:\n  host: ''\n", 2, "server.host", "an address"),
        ("server:\n  host: a b\n", 2, "server.host", "an address"),
        ("server:\n  allowed_hosts: localhost\n", 2, "server.allowed_hosts", "a list"),
        ("server:\n  allowed_hosts:\n    - a\n    - [b]\n", 4, "server.allowed_hosts[1]", "a text"),
        ("server: 1\n", 1, "server", "a section"),
        ("server: [1]\n", 1, "server", "a section"),
        ("logging:\n  level: loud\n", 2, "logging.level", "one of debug, info, warning, error, not 'loud'"),
        ("policy:\n  refusal_status: 500\n", 2, "policy.refusal_status", "one of 412, 403"),
        ("preset: staging\n", 1, "preset", "one of production, development, test"),
        ("storage:\n  data_directory: ~/data\n", 2, "storage.data_directory", "a path"),
        ("storage:\n  data_directory: 7\n", 2, "storage.data_directory", "a text"),
        ("network:\n  name: goerli\n", 2, "network.name", "one of mainnet"),
        ("network:\n  genesis_validators_root: 0x12\n", 2, "network.genesis_validators_root", "32 bytes"),
        ("network:\n  genesis_validators_root: zz\n", 2, "network.genesis_validators_root", "32 bytes"),
        ("network:\n  genesis_validators_root: 0x123\n", 2, "network.genesis_validators_root", "32 bytes"),
        ("security:\n  principals: {name: a}\n", 2, "security.principals", "a list"),
        ("security:\n  principals:\n    - a\n", 3, "security.principals[0]", "a section"),
        ("security:\n  principals:\n    - groups: [a]\n", 3, "security.principals[0].name", "missing"),
        ("security:\n  principals:\n    - name: 'a:b'\n", 3, "security.principals[0].name", "letters"),
        (
            "security:\n  principals:\n    - name: ann\n      groups: [ops, ops team]\n",
            4,
            "security.principals[0].groups[1]",
            "1 to 64 letters, digits or signs of `_.:@-`, as policies name groups, not 'ops team'",
        ),
        ("namespaces:\n  names: [other]\n", 2, "namespaces.names[0]", "default"),
        ("metrics:\n  buckets_seconds: [0]\n", 2, "metrics.buckets_seconds[0]", "a number"),
    ],
)
def test_a_wrong_value_is_named_with_its_line_and_what_is_wanted(
    tmp_path: Path, text: str, line: int, key: str, sentence: str
) -> None:
    raised = fault(tmp_path, text)
    assert (raised.key, raised.where) == (key, f"{tmp_path}/holdfast.yaml:{line}")
    assert sentence in raised.sentence
    assert raised.remedy


@pytest.mark.parametrize(
    ("text", "line", "sentence"),
    [
        ("server:\n  port: 1\n  port: 2\n", 3, "server.port is written twice"),
        ("server: {}\nkeys: {}\nserver: {}\n", 3, "server is written twice"),
        ("security:\n  principals:\n    - name: a\n      name: b\n", 4, "security.principals[0].name is written twice"),
        ("server:\n\tport: 1\n", 2, "not YAML"),
        ("server: {cors_origins: [*]}\n", 1, "not YAML"),
        ("a: 1\n---\nb: 2\n", 2, "not YAML"),
        ("server: {port: !!python/object:os.system 1}\n", 1, "YAML tag"),
        ("- server\n", 1, "not a mapping"),
        ("server\n", 1, "not a mapping"),
        ("? [a]\n: 1\n", 1, "not a name"),
        ("server: &a\n  tls: *a\n", 2, "aliases"),
        ("security: {principals: &a [*a]}\n", 1, "aliases"),
    ],
)
def test_a_file_that_is_no_mapping_of_names_is_refused_with_its_line(
    tmp_path: Path, text: str, line: int, sentence: str
) -> None:
    raised = fault(tmp_path, text)
    assert raised.where == f"{tmp_path}/holdfast.yaml:{line}"
    assert sentence in raised.sentence


def test_a_file_that_nests_without_end_is_refused(tmp_path: Path) -> None:
    for depth in (MAX_DEPTH, 5000):  # one level is the document's
        raised = fault(tmp_path, "server: " + "[" * depth + "]" * depth)
        assert "deep" in raised.sentence
        assert raised.where.endswith("holdfast.yaml:1")
    assert "deep" not in fault(tmp_path, "server: " + "[" * (MAX_DEPTH - 1) + "]" * (MAX_DEPTH - 1)).sentence
    raised = fault(tmp_path, environ={"HOLDFAST_SECURITY__PRINCIPALS": "[" * 5000})
    assert raised.key == "security.principals"


def test_nesting_is_refused_however_deep_the_interpreter_may_recurse(tmp_path: Path) -> None:
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(1_000_000)  # as any library may; then the composer would overflow the stack
    try:
        assert "deep" in fault(tmp_path, "server: " + "[" * 100_000).sentence
    finally:
        sys.setrecursionlimit(before)


def test_a_key_written_twice_names_both_lines(tmp_path: Path) -> None:
    raised = fault(tmp_path, "server:\n  port: 1\n  port: 2\n")
    assert "holdfast.yaml:2" in raised.remedy


@pytest.mark.parametrize(
    ("environ", "key", "words"),
    [
        ({"HOLDFAST_SERVER__PROT": "1"}, "server.prot", "server.port"),
        ({"HOLDFAST_SERVER__PORT": "one"}, "server.port", "whole number"),
        ({"HOLDFAST_SERVER__PORT": ""}, "server.port", "whole number"),
        ({"HOLDFAST_SERVER__PORT__X": "1"}, "server.port", "whole number"),
        ({"HOLDFAST_SERVER__TLS": "x"}, "server.tls", "section"),
        ({"HOLDFAST_METRICS__ENABLED": "yes"}, "metrics.enabled", "true or false"),
        ({"HOLDFAST_SECURITY__PRINCIPALS": "[{"}, "security.principals", "JSON"),
        ({"HOLDFAST_METRICS__BUCKETS_SECONDS": "[1"}, "metrics.buckets_seconds", "JSON"),
        ({"HOLDFAST_SECURITY__PRINCIPALS": "vc"}, "security.principals", "list of entries"),
        ({"HOLDFAST_SECURITY__PRINCIPALS": '[{"nam": "vc"}]'}, "security.principals[0].nam", "name"),
    ],
)
def test_a_fault_in_a_variable_names_the_variable(
    tmp_path: Path, environ: dict[str, str], key: str, words: str
) -> None:
    raised = fault(tmp_path, environ=environ)
    assert raised.where == f"environment {next(iter(environ))}"
    assert raised.key == key
    assert words in raised.sentence + raised.remedy


def test_a_fault_in_a_flag_names_the_command_line(tmp_path: Path) -> None:
    assert fault(tmp_path, flags={"server.prot": 1}).where == "command line"
    assert fault(tmp_path, flags={"server.port": "x"}).where == "command line"
    assert fault(tmp_path, preset="prod").where == "command line"


def test_a_secret_value_is_never_repeated(tmp_path: Path) -> None:
    texts = [
        "security: {principals: [{name: a, token_sha256: hunter2}]}",
        "security: {principals: [{name: a, password_hash: hunter2}]}",
        "journal: {url: 'mysql://user:hunter2@host/db'}",
        "journal: {url: 'postgresql://user:hunter2@host/'}",
        "journal: {url: 'postgresql://user:ha#hunter2@host/db'}",
        "journal: {url: 'postgresql://user:ha?hunter2=@host/db'}",
        "journal: {url: 'postgresql://user:ha@hunter2@host/db'}",
        "journal: {url: 'postgresql://user:hunter2@[host/db'}",
    ]
    for text in texts:
        raised = fault(tmp_path, text)
        assert "hunter2" not in f"{raised} {raised.evidence}"


@pytest.mark.parametrize(
    "text",
    [
        "keys: {config_directory: gone}",
        "keys: {keystores_directory: gone, password_file: holdfast.yaml}",
        "keys: {keystores_directory: ., password_file: gone}",
        "keys: {keystores_directory: ., password_file: .}",
        "keys: {keystores_directory: ., passwords_directory: holdfast.yaml}",
        "network: {config_file: gone}",
        "server: {tls: {certificate_file: gone, key_file: gone, allow_any_client: true}}",
        "storage: {master_key: {password_file: gone}}",
        "security: {principals: [{name: a, token_file: gone}]}",
    ],
)
def test_a_file_or_directory_that_is_named_must_be_there(tmp_path: Path, text: str) -> None:
    raised = fault(tmp_path, text)
    assert raised.where == f"{tmp_path}/holdfast.yaml:1"
    assert "there is no such" in raised.sentence
    file = tmp_path / "holdfast.yaml"
    load_config(file, environ={}, flags={}, working_directory=tmp_path, files_must_exist=False)


def test_a_configuration_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    for file in (tmp_path / "gone.yaml", tmp_path):
        with pytest.raises(ConfigError) as raised:
            load_config(file, environ={}, flags={})
        assert raised.value.where == str(file)
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="UTF-8"):
        load_config(tmp_path / "binary.yaml", environ={}, flags={})
