"""Four layers, one immutable configuration: the later layer is heard, and every value knows where it came from."""

from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest

from signer.auth.principal import Action
from signer.config.load import load_config
from signer.config.sections import Config, Preset
from signer.config.setting import values
from signer.errors import ConfigError


def load(
    tmp_path: Path,
    text: str | None = None,
    *,
    environ: dict[str, str] | None = None,
    flags: dict[str, object] | None = None,
    preset: str | None = None,
    files_must_exist: bool = True,
) -> Config:
    file = None
    if text is not None:
        file = tmp_path / "holdfast.yaml"
        file.write_text(text)
    return load_config(
        file,
        environ=environ or {},
        flags=flags or {},
        preset=preset,
        working_directory=tmp_path,
        files_must_exist=files_must_exist,
    )


def fault(tmp_path: Path, text: str | None = None, **layers: object) -> ConfigError:
    with pytest.raises(ConfigError) as raised:
        load(tmp_path, text, **layers)  # type: ignore[arg-type]
    assert raised.value.where
    assert raised.value.remedy
    return raised.value


def test_nothing_at_all_is_a_production_configuration_on_loopback(tmp_path: Path) -> None:
    config = load(tmp_path)
    assert config.preset is Preset.PRODUCTION
    assert (config.server.host, config.server.port) == ("127.0.0.1", 9000)
    assert config.storage.data_directory == Path("/var/lib/holdfast")
    assert config.refuse_public_test_keys
    assert config.check_clock
    assert config.check_exposure
    assert config.file is None
    assert dict(config.sources) == {}


def test_an_empty_file_and_sections_that_are_all_comments_change_nothing(tmp_path: Path) -> None:
    for text in ("", "# nothing\n", "server:\n  # port: 1\nkeys:\n", "---\n", "~\n"):
        config = load(tmp_path, text)
        assert config.server.port == 9000, text


def test_each_layer_is_heard_above_the_one_below(tmp_path: Path) -> None:
    text = "server: {port: 1}\npreset: test\n"
    steps: list[tuple[dict[str, object], int, str]] = [
        ({"preset": "test"}, 0, "preset test"),
        ({"text": text}, 1, f"{tmp_path}/holdfast.yaml:1"),
        ({"text": text, "environ": {"HOLDFAST_SERVER__PORT": "2"}}, 2, "environment HOLDFAST_SERVER__PORT"),
        (
            {"text": text, "environ": {"HOLDFAST_SERVER__PORT": "2"}, "flags": {"server.port": 3}},
            3,
            "command line",
        ),
    ]
    for layers, port, where in steps:
        config = load(tmp_path, **layers)  # type: ignore[arg-type]
        assert (config.server.port, config.where("server.port")) == (port, where)


def test_a_flag_that_was_not_given_is_not_heard(tmp_path: Path) -> None:
    config = load(tmp_path, "server: {port: 1}", flags={"server.port": None, "server.workers": "2"})
    assert (config.server.port, config.server.workers) == (1, 2)


def test_the_preset_comes_by_flag_then_file_and_never_by_variable(tmp_path: Path) -> None:
    assert load(tmp_path, "preset: test", preset="development").preset is Preset.DEVELOPMENT
    assert load(tmp_path, "preset: test").preset is Preset.TEST
    assert load(tmp_path, "preset: test", flags={"preset": "development"}).preset is Preset.DEVELOPMENT
    assert load(tmp_path, "{}", environ={"HOLDFAST_PRESET": "test"}).preset is Preset.PRODUCTION
    assert load(tmp_path, "preset: test", preset="development").where("preset") == "command line"


def test_only_names_with_two_underscores_in_a_row_are_configuration(tmp_path: Path) -> None:
    environ = {"HOLDFAST_VECTORS": "/nowhere", "HOLDFAST_PORT": "7", "OTHER_SERVER__PORT": "8", "HOLDFAST": "x"}
    assert load(tmp_path, environ=environ).server.port == 9000
    assert fault(tmp_path, environ={"HOLDFAST__PORT": "7"}).where == "environment HOLDFAST__PORT"


def test_variables_reach_nested_keys_lists_and_entries(tmp_path: Path) -> None:
    config = load(
        tmp_path,
        environ={
            "HOLDFAST_STORAGE__MASTER_KEY__KEY_FILE": "m.key",
            "HOLDFAST_SERVER__ALLOWED_HOSTS": "localhost, signer ,",
            "HOLDFAST_SERVER__CORS_ORIGINS": "",
            "HOLDFAST_METRICS__BUCKETS_SECONDS": "[0.001, 1]",
            "HOLDFAST_SECURITY__PRINCIPALS": '[{"name": "vc", "token_sha256": "' + "ab" * 32 + '"}]',
            "HOLDFAST_SERVER__SIGNING_THREADS": "",
        },
    )
    assert config.storage.master_key.key_file == tmp_path / "m.key"
    assert config.server.allowed_hosts == ("localhost", "signer")
    assert config.server.cors_origins == ()
    assert config.metrics.buckets_seconds == (0.001, 1.0)
    assert config.server.signing_threads is None
    (principal,) = config.security.principals
    assert (principal.name, principal.token_sha256) == ("vc", b"\xab" * 32)
    assert principal.actions == (Action.KEYS_LIST, Action.SIGN_DUTY)


def test_lists_of_a_later_layer_replace_the_earlier_ones(tmp_path: Path) -> None:
    config = load(tmp_path, "server: {allowed_hosts: [a, b]}", environ={"HOLDFAST_SERVER__ALLOWED_HOSTS": "c"})
    assert config.server.allowed_hosts == ("c",)


def test_relative_paths_start_where_they_were_written(tmp_path: Path) -> None:
    directory = tmp_path / "etc"
    directory.mkdir()
    file = directory / "holdfast.yaml"
    file.write_text("storage: {data_directory: ../data, head_file: /elsewhere/head}\n")
    config = load_config(
        Path("etc/holdfast.yaml"),
        environ={"HOLDFAST_SERVER__ADMIN_SOCKET": "a.sock"},
        flags={"audit.archive_directory": Path("archive")},
        working_directory=tmp_path,
    )
    assert config.file == file
    assert config.storage.data_directory == directory / "../data"
    assert config.storage.head_file == Path("/elsewhere/head")
    assert config.server.admin_socket == tmp_path / "a.sock"
    assert config.audit.archive_directory == tmp_path / "archive"


def test_defaults_in_the_data_directory_follow_it(tmp_path: Path) -> None:
    config = load(tmp_path, flags={"storage.data_directory": "d"})
    data = tmp_path / "d"
    assert config.storage.head_file == data / "head"
    assert config.storage.master_key.key_file == data / "master.key"
    assert config.server.admin_socket == data / "admin.sock"
    assert config.keys.config_directory == data / "keys"
    assert config.audit.archive_directory == data / "audit-archive"


def test_every_path_is_absolute(tmp_path: Path) -> None:
    for preset in Preset:
        paths = [each.value for each in values(load(tmp_path, preset=preset)) if isinstance(each.value, Path)]
        assert paths
        assert all(path.is_absolute() for path in paths)


def test_the_configuration_cannot_be_changed(tmp_path: Path) -> None:
    config = load(tmp_path, "server: {port: 1}")
    with pytest.raises(FrozenInstanceError):
        config.server.port = 2  # type: ignore[misc]
    with pytest.raises(TypeError):
        config.sources["server.port"] = "somewhere else"  # type: ignore[index]
    hash(config.server)
    hash(config.security)


def test_presets_set_what_the_manual_says(tmp_path: Path) -> None:
    test, development = load(tmp_path, preset="test"), load(tmp_path, preset="development")
    assert (test.server.port, test.metrics.port, test.clock.source) == (0, 0, "trusted")
    assert (development.logging.format, development.metrics.enabled) == ("console", True)
    for config in (test, development):
        assert config.network.pin_first_seen
        assert config.storage.data_directory == tmp_path / "data"
        assert (config.check_clock, config.check_exposure, config.refuse_public_test_keys) == (False, False, False)


def test_yaml_spells_values_in_its_own_ways(tmp_path: Path) -> None:
    root = "4b363db94e286120d76eb905340fdd4e54bfe9f06bf33ff6cf5ad27f511bfe95"
    config = load(
        tmp_path,
        f"""
server:
  tls: {{minimum_version: 1.3}}
  request_deadline_seconds: 3
  access_log: True
network:
  genesis_validators_root: 0x{root}
  genesis_time: 1606824023
policy: {{refusal_status: 403}}
metrics: {{buckets_seconds: [1e-3, .inf]}}
""".replace(", .inf", ""),
    )
    assert config.server.tls.minimum_version == "1.3"
    assert config.server.request_deadline_seconds == 3.0
    assert config.server.access_log is True
    assert config.network.genesis_validators_root == bytes.fromhex(root)
    assert config.policy.refusal_status == 403
    assert config.metrics.buckets_seconds == (0.001,)
    assert load(tmp_path, preset="test", flags={"clock.far_future_epochs": "null"}).clock.far_future_epochs is None


def test_fingerprints_are_read_as_openssl_prints_them(tmp_path: Path) -> None:
    fingerprint = ":".join(["AB"] * 32)
    config = load(
        tmp_path,
        f"""
server: {{tls: {{certificate_file: c, key_file: k, client_ca_file: a}}}}
security:
  principals:
    - name: vc
      token_sha256: sha256${"cd" * 32}
      certificate: {{sha256: {fingerprint}}}
      keys: [0x{"93" * 48}]
      duties: [ATTESTATION]
""",
        files_must_exist=False,
    )
    (principal,) = config.security.principals
    assert principal.certificate.sha256 == b"\xab" * 32
    assert principal.token_sha256 == b"\xcd" * 32
    assert principal.keys == (b"\x93" * 48,)
    assert "cdcd" not in repr(config).lower().replace(r"\x", "")
    assert config.where("security.principals[0].duties").endswith("holdfast.yaml:9")
