"""`init`, `config` and `tls init`: what they make, what they never overwrite, what they say."""

import json
import os
import pwd
import shlex
import shutil
import ssl
import subprocess
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path

import pytest
from cli_line import Cli
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import pkcs12
from postgres_server import PostgresServer

from signer.cli.demo_request import curl_line, randao_request
from signer.config.load import load_config
from signer.config.production import find_faults
from signer.crypto.bls import SecretKey, load
from signer.crypto.secret import Secret
from signer.eth2.builtin_networks import find_network
from signer.eth2.networks import Network
from signer.keys.keystore_format import parse_keystore
from signer.units import PublicKey

DEMO = ("init", "--preset", "development", "--data-directory", "data", "--demo")


def content_of(directory: Path) -> dict[str, tuple[int, bytes]]:
    """Every file below a directory with its mode and bytes."""
    return {
        str(path.relative_to(directory)): (path.stat().st_mode & 0o777, path.read_bytes())
        for path in sorted(directory.rglob("*"))
        if path.is_file()
    }


def without_lock(content: dict[str, tuple[int, bytes]]) -> dict[str, tuple[int, bytes]]:
    """The lock file tells who held it last, and nothing else."""
    return {name: each for name, each in content.items() if name != "lock"}


# --- init -----------------------------------------------------------------------------------------


def test_init_makes_everything_for_its_owner_alone(cli: Cli, tmp_path: Path) -> None:
    said = cli(*DEMO)
    assert (said.code, said.err) == (0, "")
    made = content_of(tmp_path / "data")
    assert sorted(made) == [
        "api-token", "head", "holdfast.yaml", "journal.sqlite", "key-manager-token", "keys/demo.json", "keys/demo.txt",
        "keys/demo.yaml", "lock", "master.key",
    ]  # fmt: skip
    assert {mode for mode, _ in made.values()} == {0o600}
    assert {(tmp_path / each).stat().st_mode & 0o777 for each in ("data", "data/keys")} == {0o700}
    assert len(made["master.key"][1]) == 32
    assert len(made["api-token"][1].strip()) == 43


def test_init_shows_where_secrets_are_and_never_what_they_are(cli: Cli, tmp_path: Path) -> None:
    said = cli(*DEMO)
    for name in ("api-token", "key-manager-token", "keys/demo.txt"):
        secret = (tmp_path / "data" / name).read_text().strip()
        assert secret not in said.out + said.err
    assert str(tmp_path / "data/api-token") in said.out


def test_init_again_keeps_everything_byte_for_byte(cli: Cli, tmp_path: Path) -> None:
    cli(*DEMO)
    before = content_of(tmp_path / "data")
    said = cli(*DEMO, "--json")
    assert (said.code, said.err) == (0, "")
    assert [step["made"] for step in said.json["steps"]] == [False] * 7
    assert without_lock(content_of(tmp_path / "data")) == without_lock(before)


def test_init_completes_what_was_left_half_made(cli: Cli, tmp_path: Path) -> None:
    cli(*DEMO)
    before = content_of(tmp_path / "data")
    (tmp_path / "data/keys/demo.yaml").unlink()
    (tmp_path / "data/master.key").unlink()
    made = {step["what"] for step in cli(*DEMO, "--json").json["steps"] if step["made"]}
    assert made == {"master key", "demonstration key"}
    after = content_of(tmp_path / "data")
    assert {name for name in before if before[name] != after[name]} - {"lock"} == {"master.key"}


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (
            ("--data-directory", "elsewhere"),
            "storage.data_directory is {data} there and {tmp}/elsewhere on this command",
        ),
        (("--set", "server.port=9999"), "server.port is 9000 there and 9999 on this command line"),
        (("--preset", "production"), "preset is development there and production on this command line"),
    ],
)
def test_init_touches_nothing_where_the_configuration_that_is_there_says_otherwise(
    cli: Cli, tmp_path: Path, words: tuple[str, ...], told: str
) -> None:
    cli(*DEMO)
    before = content_of(tmp_path)
    said = cli("init", "--config", "data/holdfast.yaml", *words)
    assert said.code == 2
    assert told.format(data=tmp_path / "data", tmp=tmp_path) in said.err
    assert "or leave it off this line" in said.err
    assert content_of(tmp_path) == before
    assert not (tmp_path / "elsewhere").exists()


def test_a_data_directory_on_the_line_is_refused_where_the_file_means_the_default_one(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("network:\n  name: hoodi\n")
    said = cli("init", "--config", "mine.yaml", "--data-directory", "data")
    assert said.code == 2
    assert "storage.data_directory is /var/lib/holdfast there" in said.err
    assert [each.name for each in tmp_path.iterdir()] == ["mine.yaml"]


def test_a_data_directory_that_was_copied_is_not_taken_for_the_one_its_configuration_names(
    cli: Cli, tmp_path: Path
) -> None:
    cli(*DEMO)
    before = content_of(tmp_path / "data")
    shutil.copytree(tmp_path / "data", tmp_path / "copy")
    said = cli("init", "--preset", "development", "--data-directory", "copy")
    assert said.code == 2
    assert content_of(tmp_path / "data") == before


def test_the_configuration_holds_what_the_command_line_said_and_can_be_loaded(cli: Cli, tmp_path: Path) -> None:
    said = cli(
        "init", "--config", "etc/signer.yaml", "--data-directory", "data", "--set", "network.name=hoodi",
        "--set", "server.port=9100", "--set", "security.require_authentication=true",
        "--set", "server.tls.minimum_version=1.3",
    )  # fmt: skip
    assert said.code == 0
    config = load_config(tmp_path / "etc/signer.yaml", environ={}, flags={})
    assert config.preset == "production"
    assert config.storage.data_directory == tmp_path / "data"
    assert (config.network.name, config.server.port, config.server.tls.minimum_version) == ("hoodi", 9100, "1.3")
    assert config.security.require_authentication
    (principal,) = config.security.principals
    assert (principal.name, principal.token_file) == ("client", tmp_path / "data/api-token")
    assert principal.password_file == principal.token_file, "clients that take credentials only in a URL"
    assert cli("config", "check", "--config", "etc/signer.yaml").code == 0


def test_a_configuration_that_is_there_gets_what_it_names_and_no_token_it_does_not_name(
    cli: Cli, tmp_path: Path
) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/holdfast.yaml").write_text(
        "preset: test\nstorage:\n  data_directory: ../elsewhere\n  master_key:\n    key_file: ../master\n"
        "keys:\n  config_directory: ../web3signer-keys\n"
    )
    (tmp_path / "web3signer-keys").mkdir(mode=0o755)
    said = cli("init", "--config", "mine/holdfast.yaml", "--json")
    assert (said.code, said.err) == (0, "")
    assert {step["what"]: step["made"] for step in said.json["steps"]} == {
        "data directory": True, "configuration": False, "keys directory": False, "master key": True,
        "slashing record": True,
    }  # fmt: skip
    assert sorted(content_of(tmp_path)) == [
        "elsewhere/head", "elsewhere/journal.sqlite", "elsewhere/lock", "master", "mine/holdfast.yaml",
    ]  # fmt: skip


@pytest.mark.parametrize("preset", ["production", "development"])
def test_an_empty_record_beside_keys_that_are_listed_is_told(cli: Cli, tmp_path: Path, preset: str) -> None:
    (tmp_path / "keys").mkdir(mode=0o700)
    (tmp_path / "keys/a.yaml").write_text(f"type: file-raw\nprivateKey: '0x{1:064x}'\n")
    (tmp_path / "keys/a.yaml").chmod(0o600)
    (tmp_path / "mine.yaml").write_text(
        f"preset: {preset}\nstorage:\n  data_directory: disk\nkeys:\n  config_directory: keys\n"
    )
    said = cli("init", "--config", "mine.yaml")
    assert said.code == 0
    assert "keys are already configured here (1)" in said.err
    assert "import their slashing data before you start (or mount the disk that holds the record)" in said.err
    assert cli("init", "--config", "mine.yaml").err == "", "the record was there"


@pytest.mark.parametrize(("validators", "told"), [(8, "8 validators are on record"), (0, "new and empty")])
def test_a_record_that_was_adopted_from_web3signer_is_not_called_empty(
    cli: Cli, tmp_path: Path, postgres: PostgresServer, database_url: str, validators: int, told: str
) -> None:
    database = database_url.rpartition("/")[2]
    postgres.psql((resources.files("signer.journal") / "shared" / "web3signer_12.sql").read_text(), database)
    for number in range(validators):
        postgres.psql(f"INSERT INTO validators (public_key) VALUES ('\\x{number:096x}')", database)
    (tmp_path / "data/keys").mkdir(mode=0o700, parents=True)
    (tmp_path / "data").chmod(0o700)
    (tmp_path / "data/keys/a.yaml").write_text(f"type: file-raw\nprivateKey: '0x{1:064x}'\n")
    said = cli("init", "--data-directory", "data", "--set", f"journal.url={database_url}")
    assert said.code == 0
    assert told in said.err
    assert said.err.count("\n") == 1, said.err


def test_with_a_master_password_no_key_file_is_made(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "password").touch(mode=0o600)
    (tmp_path / "password").write_text("a long enough password\n")
    said = cli("init", "--data-directory", "data", "--set", "storage.master_key.password_file=password")
    assert said.code == 0
    assert not (tmp_path / "data/master.key").exists()
    config = load_config(tmp_path / "data/holdfast.yaml", environ={}, flags={})
    assert config.storage.master_key.password_file == tmp_path / "password"


def test_a_demonstration_key_is_not_made_for_production(cli: Cli, tmp_path: Path) -> None:
    said = cli("init", "--data-directory", "data", "--demo")
    assert said.code == 2
    assert "development" in said.err
    assert list(tmp_path.iterdir()) == []


def test_a_directory_that_others_can_enter_is_refused(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir(mode=0o755)
    said = cli(*DEMO)
    assert said.code == 1
    assert "chmod it to 0700" in said.err


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give a directory away")
def test_a_directory_of_another_user_is_told_with_its_owner_and_how_to_run_as_that(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir(mode=0o700)
    os.chown(tmp_path / "data", pwd.getpwnam("nobody").pw_uid, -1)
    said = cli(*DEMO)
    assert said.code == 1
    assert "belongs to the user nobody, and this command runs as root" in said.err
    assert "sudo -u nobody" in said.err
    assert list((tmp_path / "data").iterdir()) == []


@pytest.mark.parametrize(
    ("words", "asked"),
    [
        (("--preset", "production"), True),
        ((), True),
        (("--preset", "development"), False),
        (("--preset", "test"), False),
        (("--preset", "development", "--set", "security.require_authentication=true"), True),
        (("--set", "security.require_authentication=false"), False),
    ],
)
def test_in_production_the_first_principal_is_asked_for_its_token(
    cli: Cli, tmp_path: Path, words: tuple[str, ...], asked: bool
) -> None:
    assert cli("init", "--data-directory", "data", *words).code == 0
    config = load_config(tmp_path / "data/holdfast.yaml", environ={}, flags={})
    assert config.security.require_authentication is asked
    assert [principal.name for principal in config.security.principals] == ["client"]
    assert find_faults(config) == ()


def test_a_head_file_on_another_disk_gets_its_directory(cli: Cli, tmp_path: Path) -> None:
    line = ("init", "--data-directory", "data", "--set", "storage.head_file=other/head", "--json")
    steps = {step["what"]: step for step in cli(*line).json["steps"]}
    assert steps["head file's directory"] == {
        "what": "head file's directory", "path": str(tmp_path / "other"), "made": True,
    }  # fmt: skip
    assert (tmp_path / "other").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "other/head").is_file()
    assert {step["made"] for step in cli(*line).json["steps"]} == {False}


def test_the_next_commands_are_called_as_this_one_was(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["/opt/hold fast/bin/holdfast", "init"])
    assert "Start it:     '/opt/hold fast/bin/holdfast' serve --config" in cli(*DEMO).out
    monkeypatch.setattr("sys.argv", ["/usr/lib/python3/signer/__main__.py"])
    assert "Start it:     holdfast serve --config" in cli(*DEMO).out


def test_a_directory_that_cannot_be_made_is_told(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file is in the way")
    said = cli(*DEMO)
    assert said.code == 1
    assert "Traceback" not in said.err
    assert "data" in said.err


def test_a_demonstration_keystore_of_somebody_else_is_kept_and_told(cli: Cli, tmp_path: Path) -> None:
    cli(*DEMO)
    (tmp_path / "data/keys/demo.json").write_text("not a keystore")
    said = cli(*DEMO)
    assert said.code == 1
    assert "no keystore" in said.err
    assert (tmp_path / "data/keys/demo.json").read_text() == "not a keystore"


def test_the_demonstration_key_opens_and_is_the_one_that_is_told(cli: Cli, tmp_path: Path) -> None:
    told = cli(*DEMO, "--json").json["demo"]
    keystore = parse_keystore((tmp_path / "data/keys/demo.json").read_bytes())
    password = Secret((tmp_path / "data/keys/demo.txt").read_bytes().strip())
    secret = SecretKey.from_bytes(keystore.open(password).reveal())
    assert told["public_key"] == "0x" + load().public_key(secret).hex()
    assert told["public_key"] in told["curl"]


def mainnet() -> Network:
    network = find_network("mainnet")
    assert network is not None
    return network


# --- the curl line ---------------------------------------------------------------------------------


def test_the_request_is_for_the_epoch_of_the_clock_under_the_fork_of_that_epoch() -> None:
    network = mainnet()
    assert network.genesis_time is not None
    # Electra began at epoch 364032 of mainnet (eth-clients/mainnet, ELECTRA_FORK_EPOCH).
    seconds = network.genesis_time + (364_032 + 7) * 32 * 12 + 5
    assert json.loads(randao_request(network, seconds=seconds) or "") == {
        "type": "RANDAO_REVEAL",
        "fork_info": {
            "fork": {"previous_version": "0x04000000", "current_version": "0x05000000", "epoch": "364032"},
            "genesis_validators_root": "0x4b363db94e286120d76eb905340fdd4e54bfe9f06bf33ff6cf5ad27f511bfe95",
        },
        "randao_reveal": {"epoch": "364039"},
    }


def test_before_the_first_fork_both_versions_are_the_genesis_version() -> None:
    network = mainnet()
    assert network.genesis_time is not None
    fork = json.loads(randao_request(network, seconds=network.genesis_time + 1) or "")["fork_info"]["fork"]
    assert fork == {"previous_version": "0x00000000", "current_version": "0x00000000", "epoch": "0"}


def test_a_network_without_a_known_genesis_has_no_request() -> None:
    minimal = find_network("minimal")
    assert minimal is not None
    assert randao_request(minimal, seconds=1e9) is None


def test_the_curl_line_is_one_command_whose_token_the_shell_reads() -> None:
    line = curl_line(url="http://h:1", public_key=PublicKey(b"\xaa" * 48), body='{"a":"b c"}', token_file=Path("/t k"))
    assert shlex.split(line)[:5] == ["curl", "-sS", "-X", "POST", "http://h:1/api/v1/eth2/sign/0x" + "aa" * 48]
    assert '{"a":"b c"}' in shlex.split(line)
    assert line.endswith("""-H "Authorization: Bearer $(cat '/t k')\"""")


# --- config ----------------------------------------------------------------------------------------


def test_every_value_is_shown_with_who_set_it(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("preset: development\nserver:\n  port: 9100\n")
    said = cli(
        "config", "show", "--config", "c.yaml", "--set", "server.workers=2",
        environ={"HOLDFAST_LOGGING__LEVEL": "debug"},
    )  # fmt: skip
    lines = [line.split("\t") for line in said.out.splitlines()]
    assert ["server.port", "9100", "c.yaml:3"] in lines
    assert ["server.workers", "2", "command line"] in lines
    assert ["logging.level", "debug", "environment HOLDFAST_LOGGING__LEVEL"] in lines
    assert ["server.host", "127.0.0.1", "default"] in lines


def test_a_configuration_that_would_not_start_is_exit_code_2_with_every_fault(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("server:\n  host: 0.0.0.0\nnetwork:\n  name: ephemery\n")
    said = cli("config", "check", "--config", "c.yaml", "--data-directory", "data")
    assert said.code == 2
    assert said.out.count("fault: ") == 3
    assert "c.yaml:2" in said.out
    assert cli("config", "check", "--config", "c.yaml", "--json").json["ok"] is False


def test_the_example_of_the_reference_is_a_configuration(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "example.yaml").write_text(cli("config", "reference", "--example").out)
    assert cli("config", "show", "--config", "example.yaml").code == 0
    assert "server.keep_alive_seconds" in cli("config", "reference").out
    assert len(cli("config", "reference", "--json").json["keys"]) > 50


def test_web3signers_configuration_becomes_ours(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "w.yaml").write_text("http-listen-port: 9100\neth2.network: hoodi\nvertx-worker-pool-size: 30\n")
    said = cli(
        "config", "from-web3signer", "w.yaml", "--to", "ours.yaml",
        environ={"WEB3SIGNER_HTTP_LISTEN_PORT": "9200"},
    )  # fmt: skip
    assert (said.code, said.out) == (0, "ours.yaml is written\n")
    assert "not carried over: vertx-worker-pool-size" in said.err
    config = load_config(tmp_path / "ours.yaml", environ={}, flags={}, files_must_exist=False)
    assert (config.server.port, config.network.name) == (9200, "hoodi")


def test_a_conversion_that_fails_writes_nothing_and_an_empty_file_is_told(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "w.yaml").write_text("http-listen-port: abc\n")
    said = cli("config", "from-web3signer", "w.yaml", "--to", "ours.yaml")
    assert said.code == 2
    assert "http-listen-port wants" in said.err
    assert not (tmp_path / "ours.yaml").exists()
    (tmp_path / "ours.yaml").touch()  # what a redirection leaves
    said = cli("config", "check", "--config", "ours.yaml")
    assert "warning: " in said.out
    assert "ours.yaml sets nothing" in said.out


def test_a_conversion_overwrites_nothing(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "w.yaml").write_text("http-listen-port: 9100\n")
    (tmp_path / "ours.yaml").write_text("mine")
    assert cli("config", "from-web3signer", "w.yaml", "--to", "ours.yaml").code == 2
    assert (tmp_path / "ours.yaml").read_text() == "mine"
    assert cli("config", "from-web3signer", "nothing.yaml").code == 2


# --- tls init --------------------------------------------------------------------------------------


@pytest.fixture
def tls(cli: Cli, tmp_path: Path) -> Path:
    said = cli("tls", "init", "tls", "--host", "signer.lan", "--host", "10.1.2.3", "--client", "teku", "--client", "lh")
    assert (said.code, said.err) == (0, "")
    assert "--validators-external-signer-keystore=" in said.out
    assert "client_identity_path:" in said.out
    return tmp_path / "tls"


def certificate(file: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(file.read_bytes())


def test_everything_of_tls_init_is_for_its_owner_alone(tls: Path) -> None:
    made = content_of(tls)
    assert sorted(made) == [
        "ca-truststore.p12", "ca-truststore.password", "ca.key", "ca.pem", "known-clients.txt",
        "lh.key", "lh.p12", "lh.password", "lh.pem", "server.key", "server.pem",
        "teku.key", "teku.p12", "teku.password", "teku.pem",
    ]  # fmt: skip
    assert {mode for mode, _ in made.values()} == {0o600}


def test_the_authority_signed_every_certificate_and_openssl_agrees(tls: Path) -> None:
    authority = certificate(tls / "ca.pem")
    for name, purpose in (("server", "sslserver"), ("teku", "sslclient"), ("lh", "sslclient")):
        certificate(tls / f"{name}.pem").verify_directly_issued_by(authority)
        if openssl := shutil.which("openssl"):
            verify = [openssl, "verify", "-x509_strict", "-purpose", purpose, "-CAfile", str(tls / "ca.pem")]
            run = subprocess.run([*verify, str(tls / f"{name}.pem")], capture_output=True, text=True, check=False)
            assert run.returncode == 0, run.stderr + run.stdout


def test_the_server_is_known_by_every_name_it_was_given(tls: Path) -> None:
    names = certificate(tls / "server.pem").extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["localhost", "signer.lan"]
    assert [str(each) for each in names.get_values_for_type(x509.IPAddress)] == ["127.0.0.1", "::1", "10.1.2.3"]


def test_known_clients_are_written_as_web3signer_reads_them(tls: Path) -> None:
    fingerprints = {
        name: certificate(tls / f"{name}.pem").fingerprint(hashes.SHA256()).hex(":").upper() for name in ("teku", "lh")
    }
    assert (tls / "known-clients.txt").read_text().splitlines() == [
        f"{name} {print_}" for name, print_ in fingerprints.items()
    ]


def test_the_bundles_open_with_their_passwords(tls: Path) -> None:
    key, found, others = pkcs12.load_key_and_certificates(
        (tls / "teku.p12").read_bytes(), (tls / "teku.password").read_bytes().strip()
    )
    assert key is not None
    assert found == certificate(tls / "teku.pem")
    assert others == [certificate(tls / "ca.pem")]


@pytest.mark.skipif(shutil.which("keytool") is None, reason="Java's keytool is not installed here")
def test_java_finds_the_authority_in_its_trust_store(tls: Path) -> None:
    listing = subprocess.run(
        ["keytool", "-list", "-keystore", str(tls / "ca-truststore.p12"), "-storetype", "PKCS12",
         "-storepass:file", str(tls / "ca-truststore.password")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert listing.returncode == 0, listing.stdout
    assert "trustedCertEntry" in listing.stdout


def test_the_certificates_end_when_they_were_told_to(cli: Cli, tmp_path: Path) -> None:
    assert cli("tls", "init", "short", "--days", "10").code == 0
    left = certificate(tmp_path / "short/server.pem").not_valid_after_utc - datetime.now(UTC)
    assert 9 <= left.days <= 10


def test_a_client_that_comes_later_gets_a_certificate_of_the_same_authority(cli: Cli, tls: Path) -> None:
    before = content_of(tls)
    said = cli("tls", "client", "prysm-proxy", "tls")
    assert (said.code, said.err) == (0, "")
    certificate(tls / "prysm-proxy.pem").verify_directly_issued_by(certificate(tls / "ca.pem"))
    after = content_of(tls)
    assert set(after) - set(before) == {f"prysm-proxy.{ending}" for ending in ("key", "pem", "p12", "password")}
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {"known-clients.txt"}
    assert {mode for mode, _ in after.values()} == {0o600}
    lines = (tls / "known-clients.txt").read_text().splitlines()
    assert lines[:2] == before["known-clients.txt"][1].decode().splitlines()
    assert lines[2].startswith("prysm-proxy ")


@pytest.mark.parametrize("name", ["teku", "a b", "../x", "ca"])
def test_a_client_is_never_overwritten_nor_named_what_cannot_be(cli: Cli, tls: Path, name: str) -> None:
    before = content_of(tls)
    assert cli("tls", "client", name, "tls").code == 2
    assert content_of(tls) == before


def test_a_directory_without_an_authority_makes_no_client(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir(mode=0o700)
    said = cli("tls", "client", "teku", "empty")
    assert said.code == 2
    assert "tls init" in said.err


def test_what_is_printed_names_the_host_and_each_programs_own_bundle(cli: Cli) -> None:
    said = cli("tls", "init", "tls", "--host", "signer.lan", "--client", "teku", "--client", "lighthouse").out
    assert "--validators-external-signer-url=https://signer.lan:9000" in said
    assert "url: https://signer.lan:9000/" in said
    assert "tls/teku.p12" in said
    assert "tls/lighthouse.p12" in said


def test_an_authority_is_never_overwritten(cli: Cli, tls: Path) -> None:
    before = content_of(tls)
    assert cli("tls", "init", "tls").code == 2
    assert content_of(tls) == before


@pytest.mark.parametrize("wrong", [("--host", "a b"), ("--host", "-x"), ("--client", "a b"), ("--client", "../x")])
def test_names_that_cannot_be_are_refused_before_anything_is_written(
    cli: Cli, tmp_path: Path, wrong: tuple[str, str]
) -> None:
    assert cli("tls", "init", "tls", f"{wrong[0]}={wrong[1]}").code == 2
    assert not (tmp_path / "tls").exists()


def test_the_context_of_the_standard_library_takes_the_files(tls: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tls / "server.pem", tls / "server.key")
    context.load_verify_locations(tls / "ca.pem")
