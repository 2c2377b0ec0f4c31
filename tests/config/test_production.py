"""`production` does not start with an open listener or a readable secret, and says what to do about each."""

import os
import pwd
import stat
from pathlib import Path

import pytest

from signer.config.load import load_config
from signer.config.open_files import closing_line
from signer.config.production import check_start, find_faults, find_warnings, is_loopback
from signer.config.secret_files import (
    ENCRYPTED,
    OTHERS,
    OTHERS_OF_ROOTS_FILE,
    Exposure,
    forbidden_rights,
    judge_exposure,
)
from signer.config.sections import Config
from signer.errors import ConfigError, StartupError

PASSWORD = "correct horse battery staple"
ASKED = "security: {require_authentication: true, principals: ["


def load(tmp_path: Path, text: str, *, preset: str | None = None) -> Config:
    """A configuration whose data directory is there and closed."""
    (tmp_path / "data").mkdir(mode=0o700, exist_ok=True)
    file = tmp_path / "holdfast.yaml"
    file.write_text(text)
    return load_config(
        file,
        environ={"HOLDFAST_STORAGE__DATA_DIRECTORY": str(tmp_path / "data")},
        flags={},
        preset=preset,
        working_directory=tmp_path,
    )


def private(path: Path, text: str = PASSWORD, *, mode: int = 0o600) -> Path:
    path.parent.mkdir(exist_ok=True, mode=0o700, parents=True)
    path.write_text(text)
    path.chmod(mode)
    return path


def faulty_keys(config: Config) -> list[str]:
    return [fault.key for fault in find_faults(config)]


def test_the_defaults_start(tmp_path: Path) -> None:
    config = load(tmp_path, "preset: production")
    assert find_faults(config) == ()
    assert find_warnings(config) == ()
    check_start(config)


@pytest.mark.parametrize("text", ["", "# nothing yet\n", "server:\n"])
def test_a_file_that_sets_nothing_is_a_warning(tmp_path: Path, text: str) -> None:
    (warning,) = find_warnings(load(tmp_path, text))
    assert warning.where == str(tmp_path / "holdfast.yaml")
    assert "sets nothing" in warning.sentence
    assert "mainnet" in warning.sentence
    config = load_config(None, environ={}, flags={})
    assert find_warnings(config) == (), "no file was named"


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("127.0.0.1", True),
        ("127.8.9.1", True),
        ("localhost", True),
        ("::1", True),
        ("[::1]", True),
        ("0.0.0.0", False),
        ("::", False),
        ("10.0.0.5", False),
        ("signer.internal", False),
        ("localhost.example.org", False),
    ],
)
def test_only_loopback_addresses_are_closed_to_other_machines(host: str, loopback: bool) -> None:
    assert is_loopback(host) is loopback


def test_listening_to_other_machines_needs_to_know_who_asks(tmp_path: Path) -> None:
    private(tmp_path / "t")
    for name in ("c", "k", "a"):
        private(tmp_path / name)
    principal = "principals: [{name: vc, token_file: t}]"
    steps = [
        ("server: {host: 0.0.0.0}", True),
        ("server: {host: 0.0.0.0, tls: {certificate_file: c, key_file: k, allow_any_client: true}}", True),
        ("server: {host: 0.0.0.0}\nsecurity: {require_authentication: false, " + principal + "}", True),
        ("server: {host: 0.0.0.0}\nsecurity: {require_authentication: true, " + principal + "}", False),
        ("server: {host: 0.0.0.0, tls: {certificate_file: c, key_file: k, client_ca_file: a}}", False),
        ("server: {host: 0.0.0.0, tls: {certificate_file: c, key_file: k, known_clients_file: a}}", False),
        ("server: {host: '::1'}", False),
    ]
    for text, refused in steps:
        config = load(tmp_path, text)
        assert faulty_keys(config) == (["server.host"] if refused else []), text
        assert find_faults(load(tmp_path, text, preset="development")) == (), text


def test_a_data_directory_open_to_others_is_refused(tmp_path: Path) -> None:
    config = load(tmp_path, "")
    for mode in (0o750, 0o705, 0o701, 0o777):
        (tmp_path / "data").chmod(mode)
        (fault,) = find_faults(config)
        assert (fault.key, fault.remedy) == ("storage.data_directory", f"chmod 700 {tmp_path}/data")
        assert fault.where == "environment HOLDFAST_STORAGE__DATA_DIRECTORY"
    (tmp_path / "data").chmod(0o700)
    assert find_faults(config) == ()


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("server: {tls: {certificate_file: c, key_file: s, client_ca_file: c}}", "server.tls.key_file"),
        ("server: {tls: {pkcs12_file: s, password_file: c, client_ca_file: c}}", "server.tls.pkcs12_file"),
        ("server: {tls: {pkcs12_file: c, password_file: s, client_ca_file: c}}", "server.tls.password_file"),
        ("storage: {master_key: {key_file: s}}", "storage.master_key.key_file"),
        ("storage: {master_key: {password_file: s}}", "storage.master_key.password_file"),
        (
            ASKED + "{name: a, token_file: s}]}",
            "security.principals[0].token_file",
        ),
        (
            ASKED + "{name: a, password_file: s}]}",
            "security.principals[0].password_file",
        ),
        ("keys: {keystores_directory: ks, password_file: s}", "keys.password_file"),
    ],
)
def test_a_secret_file_open_to_others_is_refused(tmp_path: Path, text: str, key: str) -> None:
    private(tmp_path / "c")
    (tmp_path / "ks").mkdir()
    for mode, refused in ((0o600, False), (0o400, False), (0o640, True), (0o604, True), (0o620, True)):
        private(tmp_path / "s", mode=mode)
        config = load(tmp_path, text)
        assert faulty_keys(config) == ([key] if refused else []), oct(mode)
        assert find_faults(load(tmp_path, text, preset="test")) == ()


def test_the_master_key_in_its_default_place_is_looked_at_too(tmp_path: Path) -> None:
    config = load(tmp_path, "")
    private(tmp_path / "data" / "master.key", mode=0o644)
    assert faulty_keys(config) == ["storage.master_key.key_file"]


def test_key_files_open_to_others_are_refused_in_one_sentence(tmp_path: Path) -> None:
    text = "keys: {config_directory: k, keystores_directory: ks, passwords_directory: ps}"
    for number in range(5):
        private(tmp_path / "k" / f"{number}.yaml", mode=0o644)
    private(tmp_path / "k" / "closed.yml")
    private(tmp_path / "k" / "README.md", mode=0o644)
    private(tmp_path / "ks" / "a.json", mode=0o440)
    private(tmp_path / "ps" / "a.txt", mode=0o440)
    faults = {fault.key: fault for fault in find_faults(load(tmp_path, text))}
    assert set(faults) == {"keys.config_directory", "keys.passwords_directory"}
    assert "0.yaml, 1.yaml, 2.yaml and 2 more" in faults["keys.config_directory"].sentence
    assert faults["keys.config_directory"].remedy == f"chmod go-rwx {tmp_path}/k/*.yaml"
    (tmp_path / "ks" / "a.json").chmod(0o644)
    assert "keys.keystores_directory" in faulty_keys(load(tmp_path, text))


def test_files_that_key_files_name_elsewhere_are_looked_at_too(tmp_path: Path) -> None:
    far = tmp_path / "far"
    keystore, password = private(far / "k.json", "{}"), private(far / "k.password")
    listing = f"type: file-keystore\nkeystoreFile: {keystore}\nkeystorePasswordFile: {password}\n"
    private(tmp_path / "keys" / "k.yaml", listing)
    config = load(tmp_path, "keys: {config_directory: keys}")
    assert find_faults(config) == ()
    for path, mode, remedy in (
        (password, 0o644, f"chmod go-rwx {password}"),
        (password, 0o640, f"chmod go-rwx {password}"),
        (keystore, 0o604, f"chmod o-rwx {keystore}"),
    ):
        path.chmod(mode)
        (fault,) = find_faults(config)
        assert (fault.key, fault.remedy) == ("keys.config_directory", remedy)
        assert f"in {far} " in fault.sentence
        assert find_faults(load(tmp_path, "keys: {config_directory: keys}", preset="test")) == ()
        path.chmod(0o600)


def test_a_secret_that_a_container_engine_mounts_for_everybody_is_a_warning() -> None:
    def state(mode: int, uid: int) -> os.stat_result:
        return os.stat_result((stat.S_IFREG | mode, 0, 0, 1, uid, 0, 0, 0, 0, 0))

    steps = [
        (0o444, 0, 1000, True, Exposure.MOUNTED),  # Docker
        (0o644, 0, 1000, True, Exposure.MOUNTED),  # Kubernetes without defaultMode
        (0o440, 0, 1000, True, Exposure.CLOSED),
        (0o644, 0, 1000, False, Exposure.OPEN),  # a file on the machine's own disk
        (0o664, 0, 1000, True, Exposure.OPEN),
        (0o444, 1001, 1000, True, Exposure.OPEN),
        (0o444, 1000, 1000, True, Exposure.OPEN),
        (0o444, 0, 0, True, Exposure.OPEN),
        (0o600, 1000, 1000, False, Exposure.CLOSED),
    ]
    for mode, uid, our_uid, read_only, exposure in steps:
        found = judge_exposure(state(mode, uid), our_uid=our_uid, read_only_mount=read_only)
        assert found is exposure, (oct(mode), uid, our_uid, read_only)


def test_who_does_not_own_a_file_is_told_to_own_it_before_closing_it(tmp_path: Path) -> None:
    files = [private(tmp_path / f"{number}.txt") for number in range(4)]
    us, nobody = os.geteuid(), pwd.getpwnam("nobody").pw_uid
    assert closing_line(files[:1], mode="600", our_uid=us) == f"chmod 600 {files[0]}"
    assert closing_line(files, mode="go-rwx", our_uid=us) == f"chmod go-rwx {tmp_path}/*.txt"
    line = closing_line(files[:1], mode="600", our_uid=nobody)
    assert line == f"as root: chown nobody {files[0]} && chmod 600 {files[0]}"


def test_principals_that_bind_nobody_are_refused_or_told(tmp_path: Path) -> None:
    private(tmp_path / "t")
    key, principals = "security.require_authentication", "principals: [{name: a, token_file: t, actions: []}]"
    steps = [
        ("", "production", "fault"),
        ("", "development", "warning"),
        ("require_authentication: false, ", "production", "warning"),
        ("require_authentication: false, ", "development", None),
        ("require_authentication: true, ", "production", None),
    ]
    for written, preset, expected in steps:
        config = load(tmp_path, f"security: {{{written}{principals}}}", preset=preset)
        assert (key in faulty_keys(config)) is (expected == "fault"), (written, preset)
        assert (key in [each.key for each in find_warnings(config)]) is (expected == "warning"), (written, preset)


def test_roots_files_may_be_read_by_our_group_as_kubernetes_mounts_them(tmp_path: Path) -> None:
    file = private(tmp_path / "s")
    state = file.stat()
    as_roots = os.stat_result((state.st_mode, 0, 0, 1, 0, 0, 0, 0, 0, 0))
    as_ours = os.stat_result((state.st_mode, 0, 0, 1, 1000, 0, 0, 0, 0, 0))
    directory = os.stat_result((tmp_path.stat().st_mode, 0, 0, 1, 0, 0, 0, 0, 0, 0))
    steps = [
        (as_roots, 1000, False, OTHERS_OF_ROOTS_FILE),
        (as_roots, 0, False, OTHERS),
        (as_ours, 1000, False, OTHERS),
        (directory, 1000, False, OTHERS),
        (as_ours, 1000, True, ENCRYPTED),
    ]
    for owner, our_uid, encrypted, forbidden in steps:
        assert forbidden_rights(owner, our_uid=our_uid, encrypted=encrypted) == forbidden
    assert OTHERS_OF_ROOTS_FILE & 0o440 == 0
    assert OTHERS_OF_ROOTS_FILE & 0o444 != 0
    assert OTHERS & 0o077 == 0o077


def test_secrets_that_are_short_are_refused_and_never_shown(tmp_path: Path) -> None:
    private(tmp_path / "short", "hunter2\nand a very long second line\n")
    text = """
storage: {master_key: {password_file: short}}
security: {require_authentication: true, principals: [{name: a, token_file: short, password_file: short}]}
"""
    config = load(tmp_path, text)
    assert faulty_keys(config) == [
        "storage.master_key.password_file",
        "security.principals[0].token_file",
        "security.principals[0].password_file",
    ]
    assert "hunter2" not in repr(find_faults(config))
    private(tmp_path / "short", "x" * 16 + "\r\n")
    assert faulty_keys(config) == []
    private(tmp_path / "short", "\n")
    with pytest.raises(ConfigError, match="empty"):
        find_faults(config)


def test_a_chain_without_known_genesis_starts_only_where_it_may_be_pinned(tmp_path: Path) -> None:
    root = "0x" + "11" * 32
    steps = [
        ("network: {name: minimal}", ["network.genesis_validators_root", "network.genesis_time"]),
        (f"network: {{name: minimal, genesis_validators_root: {root}}}", ["network.genesis_time"]),
        (f"network: {{name: minimal, genesis_validators_root: {root}, genesis_time: 0}}", []),
        ("network: {config_file: holdfast.yaml}", ["network.genesis_validators_root", "network.genesis_time"]),
        ("network: {name: gnosis}", []),
    ]
    for text, keys in steps:
        assert faulty_keys(load(tmp_path, text)) == keys, text
        assert find_faults(load(tmp_path, text, preset="test")) == ()
    unpinned = load(tmp_path, "network: {name: minimal, pin_first_seen: false}", preset="test")
    assert faulty_keys(unpinned) == ["network.genesis_validators_root"]
    untimed = load(tmp_path, "network: {name: minimal}", preset="development")
    assert faulty_keys(untimed) == ["network.genesis_time"], "the far-future guard needs it outside `test`"


def test_a_refused_start_tells_every_fault_and_every_remedy(tmp_path: Path) -> None:
    config = load(tmp_path, "server: {host: 0.0.0.0}\nnetwork: {name: minimal}")
    (tmp_path / "data").chmod(0o755)
    with pytest.raises(StartupError) as raised:
        check_start(config)
    for fault in find_faults(config):
        assert fault.sentence in raised.value.sentence
        assert fault.remedy in raised.value.remedy
        assert fault.sentence in raised.value.evidence.values()
    assert len(raised.value.evidence) == 4


def test_what_production_accepts_and_an_operator_should_know_is_a_warning(tmp_path: Path) -> None:
    private(tmp_path / "t")
    config = load(
        tmp_path,
        """
server: {host: 10.0.0.1, allowed_hosts: ['*']}
security: {require_authentication: true, principals: [{name: a, token_file: t}]}
metrics: {enabled: true, host: 0.0.0.0}
clock: {source: trusted}
""",
    )
    assert find_faults(config) == ()
    assert [fault.key for fault in find_warnings(config)] == [
        "server.tls.certificate_file",
        "metrics.host",
        "server.allowed_hosts",
        "clock.source",
    ]
