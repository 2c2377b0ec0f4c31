"""`config show`: every value, where it came from, and no secret."""

from pathlib import Path

import yaml

from signer.config.load import load_config
from signer.config.sections import Config
from signer.config.show import ShownValue, quoted, show


def shown(config: Config) -> dict[str, ShownValue]:
    return {each.key: each for each in show(config)}


def test_every_value_is_shown_with_the_place_it_came_from(tmp_path: Path) -> None:
    file = tmp_path / "holdfast.yaml"
    file.write_text(
        "preset: test\nserver:\n  allowed_hosts: [localhost, 10.0.0.1]\nnetwork:\n  genesis_validators_root: 0x"
        + "ab" * 32
        + "\n  name: minimal\n"
    )
    config = load_config(
        file,
        environ={"HOLDFAST_SERVER__WORKERS": "2"},
        flags={"server.port": 7},
        working_directory=tmp_path,
    )
    lines = shown(config)
    assert (lines["server.port"].value, lines["server.port"].source) == ("7", "command line")
    assert (lines["server.workers"].value, lines["server.workers"].source) == (
        "2",
        "environment HOLDFAST_SERVER__WORKERS",
    )
    assert lines["server.allowed_hosts"] == ShownValue("server.allowed_hosts", "[localhost, 10.0.0.1]", f"{file}:3")
    assert lines["clock.source"].source == "preset test"
    assert lines["server.tls.key_file"] == ShownValue("server.tls.key_file", "null", "default")
    assert lines["network.genesis_validators_root"].value == "0x" + "ab" * 32
    assert lines["server.request_deadline_seconds"].value == "2.5"
    assert lines["storage.data_directory"].value == f"{tmp_path}/data"
    assert lines["journal.url"].value == "sqlite"
    assert lines["preset"].value == "test"


def test_secrets_are_starred() -> None:
    hashed = "sha256$00$" + "11" * 32
    principals = [{"name": "a", "token_sha256": "cd" * 32, "password_hash": hashed, "actions": ["keys:list"]}]
    config = load_config(None, environ={}, flags={"security.principals": principals})
    lines = shown(config)
    assert set(lines["security.principals[0].token_sha256"].value) == {"*"}
    assert set(lines["security.principals[0].password_hash"].value) == {"*"}
    assert lines["security.principals[0].actions"].value == "[keys:list]"
    assert hashed not in repr(config)
    assert "cdcd" not in repr(show(config))


def test_text_stands_in_quotes_where_yaml_would_read_something_else() -> None:
    texts = (
        "a",
        "no",
        "1",
        "1.5",
        "127.0.0.1",
        "ntp:host:123",
        "a b",
        "a: b",
        "",
        "~",
        "0x10",
        "12:30",
        "*",
        "keys:list",
    )
    for text in texts:
        assert yaml.safe_load(f"key: {quoted(text)}") == {"key": text}
        assert yaml.safe_load(f"[{quoted(text)}]") == [text]
    assert quoted("127.0.0.1") == "127.0.0.1"
