"""The command line itself: options anywhere, exit codes, one message with a remedy, help everywhere."""

from pathlib import Path

import pytest
from cli_line import Cli, MemoryHost

from signer.cli.global_options import hoist
from signer.errors import StartupError

COMMANDS = [
    (), ("serve",), ("init",), ("version",), ("doctor",),
    ("config",), ("config", "show"), ("config", "check"), ("config", "reference"), ("config", "from-web3signer"),
    ("keys",), ("keys", "list"), ("keys", "import"), ("keys", "tag"),
    ("slashing",), ("slashing", "export"), ("slashing", "import"), ("slashing", "accept-restore"),
    ("audit",), ("audit", "show"), ("audit", "verify"), ("tls",), ("tls", "init"),
    ("policy",), ("policy", "new"), ("policy", "build"), ("policy", "test"), ("policy", "eval"), ("policy", "explain"),
    ("policy", "bench"), ("policy", "inspect"),
]  # fmt: skip


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_command_explains_itself(cli: Cli, words: tuple[str, ...]) -> None:
    said = cli(*words, "--help")
    assert (said.code, said.err) == (0, "")
    assert "Usage: holdfast" in said.out
    if len(words) == 2 or words in [("serve",), ("init",), ("doctor",)]:
        assert "holdfast " + " ".join(words) in said.out.replace("\n", " ")


@pytest.mark.parametrize(
    ("line", "hoisted"),
    [
        ("keys list --json", "--json keys list"),
        ("serve --config a.yaml --set x=1 --set y=2", "--config a.yaml --set x=1 --set y=2 serve"),
        ("serve --config=a.yaml", "--config=a.yaml serve"),
        ("tls init d --host --json", "--json tls init d --host"),
        ("keys import -- --json", "keys import -- --json"),
        ("serve --config", "--config serve"),
    ],
)
def test_global_options_may_stand_anywhere(line: str, hoisted: str) -> None:
    assert hoist(line.split()) == hoisted.split()


def test_the_version_is_told_in_words_and_in_json(cli: Cli) -> None:
    assert cli("version").out == "holdfast 9.8.7\n"
    assert cli("version", "--json").json == {"name": "holdfast", "version": "9.8.7"}


@pytest.mark.parametrize(
    "words",
    [("nonsense",), ("keys", "lst"), ("keys", "import"), ("serve", "--bogus"), ("--preset", "staging", "serve")],
)
def test_a_wrong_command_line_is_exit_code_2_with_where_to_look(cli: Cli, words: tuple[str, ...]) -> None:
    said = cli(*words)
    assert (said.code, said.out) == (2, "")
    assert said.err.startswith("error: ")
    assert "--help" in said.err
    assert "Traceback" not in said.err


def test_a_wrong_command_line_is_told_in_json_too(cli: Cli) -> None:
    said = cli("keys", "lst", "--json")
    assert (said.code, said.problem["code"]) == (2, "USAGE")
    assert "Did you mean 'list'" in said.problem["detail"]


def test_no_command_at_all_shows_the_help(cli: Cli) -> None:
    said = cli()
    assert (said.code, said.err) == (2, "")
    assert "Commands" in said.out


def test_a_configuration_error_is_exit_code_2_with_file_line_key_and_remedy(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "holdfast.yaml").write_text("preset: development\nserver:\n  prot: 9000\n")
    said = cli("serve", "--config", "holdfast.yaml")
    assert (said.code, said.out) == (2, "")
    for words in ("holdfast.yaml:3", "server.prot", "remedy:"):
        assert words in said.err
    problem = cli("serve", "--config", "holdfast.yaml", "--json").problem
    assert problem["code"] == "BAD_CONFIGURATION"
    assert problem["where"] == "holdfast.yaml:3"
    assert problem["remedy"]


def test_a_refused_start_is_exit_code_1_with_the_remedy(cli: Cli, host: MemoryHost) -> None:
    host.refusal = StartupError("the disk forgets", remedy="use another disk", evidence={"disk": "tmpfs"})
    said = cli("serve", "--preset", "development")
    assert (said.code, said.out) == (1, "")
    assert said.err == "error: the disk forgets (STARTUP_REFUSED)\n  disk: tmpfs\n  remedy: use another disk\n"


def test_serve_hands_the_whole_configuration_over(cli: Cli, host: MemoryHost, tmp_path: Path) -> None:
    said = cli(
        "serve", "--preset", "development", "--data-directory", "d", "--set", "server.port=9100",
        environ={"HOLDFAST_SERVER__HOST": "127.0.0.2", "HOLDFAST_SERVER__PORT": "1"},
    )  # fmt: skip
    assert said.code == 0
    (config,) = host.served
    assert config.storage.data_directory == tmp_path / "d"
    assert (config.server.host, config.server.port) == ("127.0.0.2", 9100)


def test_a_setting_without_a_value_is_a_wrong_command_line(cli: Cli) -> None:
    said = cli("serve", "--preset", "development", "--set", "server.port")
    assert (said.code, said.out) == (2, "")
    assert "--set SECTION.KEY=VALUE" in said.err


def test_the_version_is_an_option_too(cli: Cli) -> None:
    said = cli("--version")
    assert (said.code, said.out) == (0, "holdfast 9.8.7\n")
    assert "--version" in cli("--help").out
