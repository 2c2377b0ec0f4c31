"""Validators move from each client to Holdfast, with keys and history in that client's own files, and back again.

In: the keys come from the client's directory by `holdfast keys import` and wait; the history comes from its export or
its database by `holdfast slashing import`, and the wait is over: what it has signed is known. Out: what `holdfast
slashing export` and `holdfast migrate out` write would be taken by that client, with every vote that was signed here.
"""

import json
import os
import re
import shlex
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from subprocess import run

import client_directories as old
import pytest
from client_acceptors import ACCEPTORS, Marks
from client_directories import Validator, interop_validator
from duty_requests import MAINNET_ROOT, SLOTS_PER_EPOCH, Line, block_body, line_to, network_of_age, root_of, vote_body
from running import HOLDFAST, REPOSITORY, RunningSigner, interop_secret, running_signer, write_configuration

NOW = 100
"""The epoch in which the validators move."""

SIGNED = [(NOW - 4, NOW - 3), (NOW - 3, NOW - 2)]
SLOT = (NOW - 2) * SLOTS_PER_EPOCH + 5


def with_history(index: int) -> Validator:
    """A validator that has voted twice and proposed once, with the client that it leaves."""
    votes = tuple((source, target, root_of(vote_body(source, target))) for source, target in SIGNED)
    return interop_validator(index, votes=votes, blocks=((SLOT, root_of(block_body(SLOT))),))


@dataclass(frozen=True)
class Left:
    """What a client leaves behind."""

    keys: Path
    passwords: Path | None
    history: Path


def _json(file: Path, content: object) -> Path:
    file.write_text(json.dumps(content, indent=2))
    return file


def lighthouse(home: Path, validators: list[Validator]) -> Left:
    keys = old.lighthouse_keys(home, validators)
    return Left(keys, None, old.sqlite_store(keys / "slashing_protection.sqlite", validators, root=None))


def prysm(home: Path, validators: list[Validator]) -> Left:
    keys = old.prysm_keys(home, validators)
    export = _json(home / "slashing_protection.json", old.complete_export(validators, root=MAINNET_ROOT))
    return Left(keys, home / "backup-password.txt", export)


def teku(home: Path, validators: list[Validator]) -> Left:
    keys = old.teku_keys(home, validators)
    return Left(
        keys,
        keys.parent / "local-passwords",
        _json(home / "protection.json", old.newest_export(validators, root=MAINNET_ROOT)),
    )


def nimbus(home: Path, validators: list[Validator]) -> Left:
    keys = old.nimbus_keys(home, validators)
    store = old.sqlite_store(
        keys / "slashing_protection.sqlite3", validators, root=bytes.fromhex(MAINNET_ROOT.removeprefix("0x"))
    )
    return Left(keys, home / "secrets", store)


def lodestar(home: Path, validators: list[Validator]) -> Left:
    keys = old.lodestar_keys(home, validators)
    export = _json(home / "protection.json", old.complete_export(validators, root=MAINNET_ROOT))
    return Left(keys, home / "secrets", export)


def dirk(home: Path, validators: list[Validator]) -> Left:
    keys = old.dirk_keys(home, validators)
    export = _json(home / "protection.json", old.newest_export(validators, root=MAINNET_ROOT))
    return Left(keys, home / "passphrase.txt", export)


KNOWN_ROOTS = {"repeat": "signed", "block again": "signed", "double": "DOUBLE_VOTE", "other block": "DOUBLE_PROPOSAL"}
"""A history that tells what was signed: the same again is a repeat."""

NEWEST_ONLY = KNOWN_ROOTS | {"repeat": "DOUBLE_VOTE", "block again": "DOUBLE_PROPOSAL"}
"""A history that tells only that something was signed: nothing at it is signed again, not even the same."""

CLIENTS: dict[str, tuple[Callable[[Path, list[Validator]], Left], dict[str, str]]] = {
    "lighthouse": (lighthouse, KNOWN_ROOTS),
    "prysm": (prysm, KNOWN_ROOTS),
    "teku": (teku, NEWEST_ONLY),
    "nimbus": (nimbus, KNOWN_ROOTS),
    "lodestar": (lodestar, KNOWN_ROOTS),
    "dirk": (dirk, NEWEST_ONLY),
}


@pytest.fixture(scope="module")
def signer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSigner]:
    """A signer in use, in which keys without history wait; nothing is known there of the validators that come."""
    directory = tmp_path_factory.mktemp("signer")
    sections = network_of_age(directory, NOW + 0.25) | {"keys": {"quarantine_epochs": 2}}
    with running_signer(directory, secrets=[interop_secret(999)], sections=sections) as running:
        yield running


def done(signer: RunningSigner, *words: str | Path) -> str:
    told = signer.holdfast(*words)
    assert told.returncode == 0, (words, told.stdout, told.stderr)
    return told.stdout


def verdicts(line: Line, key: str) -> dict[str, str]:
    """What the signer says to what was signed before, and to what contradicts it."""
    source, target = SIGNED[-1]
    asked = {
        "repeat": vote_body(source, target),
        "double": vote_body(source, target, "another head"),
        "surrounding": vote_body(SIGNED[0][0] - 1, NOW),
        "block again": block_body(SLOT),
        "other block": block_body(SLOT, "another parent"),
        "older block": block_body(SLOT - 1),
    }
    return {what: line.sign(key, body).verdict.removeprefix("412 ") for what, body in asked.items()}


def check_history_is_heard(signer: RunningSigner, key: str, expected: dict[str, str]) -> None:
    with line_to(signer.port) as line:
        said = verdicts(line, key)
        assert {what: said[what] for what in expected} == expected
        assert said["surrounding"] in {"SURROUNDING_VOTE", "BELOW_FLOOR"}
        assert said["older block"] == "BELOW_FLOOR"
        assert line.sign(key, vote_body(NOW - 1, NOW)).signature, "a new vote is signed, without any wait"
        assert line.sign(key, block_body(NOW * SLOTS_PER_EPOCH)).signature


@pytest.mark.parametrize("client", CLIENTS)
def test_keys_and_history_come_and_could_go_back(client: str, signer: RunningSigner, tmp_path: Path) -> None:
    leave, expected = CLIENTS[client]
    first = 10 * list(CLIENTS).index(client)
    validators = [with_history(first), with_history(first + 1)]
    keys = [one.public_key for one in validators]
    left = leave(tmp_path, validators)

    passwords = [] if left.passwords is None else ["--passwords", left.passwords]
    told = json.loads(done(signer, "keys", "import", left.keys, *passwords, "--json"))
    outcomes = {one["public_key"]: one["outcome"] for one in told["keystores"] if one["public_key"]}
    assert outcomes == dict.fromkeys(keys, "imported")
    with line_to(signer.port) as line:
        waiting = line.sign(keys[0], vote_body(NOW - 1, NOW)).verdict
    assert waiting == "412 KEY_QUARANTINED", "the keys are here, and their history is not"

    merged = signer.holdfast("slashing", "import", left.history)
    assert merged.returncode == 0, merged.stderr
    for key in keys:
        assert f"{key}: its wait in quarantine has ended" in merged.stderr
        check_history_is_heard(signer, key, expected)

    exported, parcel = tmp_path / "exported.json", tmp_path / "parcel"
    done(signer, "migrate", "out", *keys, "--to", parcel)
    if client == "lighthouse":  # the other ones' exports come from the same code as their parcels
        done(signer, "slashing", "export", "--to", exported, "--key", keys[0], "--key", keys[1])
    else:
        exported = parcel / "history.json"
    marks = Marks(NOW * SLOTS_PER_EPOCH, NOW - 1, NOW)
    for document in (exported, parcel / "history.json"):
        for accept in ACCEPTORS.values():
            assert accept(document.read_bytes(), MAINNET_ROOT) == dict.fromkeys(keys, marks)
    with line_to(signer.port) as line:
        assert line.sign(keys[0], vote_body(NOW, NOW + 1)).verdict == "412 KEY_DISABLED"


def test_a_lodestar_export_of_version_4_is_refused_with_what_to_do(signer: RunningSigner, vectors: Path) -> None:
    file = vectors / "interchange-clients" / "lodestar" / "lodestar-1.5.1-cli-raw.json"
    told = signer.holdfast("slashing", "import", file)
    assert told.returncode == 1
    assert "version 4" in told.stderr or '"4"' in told.stderr, told.stderr
    assert "export again with a newer release" in told.stderr


def test_web3signer_and_vero_behind_it_come_with_their_key_files(tmp_path: Path) -> None:
    """Web3Signer's key files are served where they are. Vero keeps nothing, and finds its keys as before."""
    validators = [with_history(80), with_history(81)]
    keys = sorted(one.public_key for one in validators)
    export = _json(tmp_path / "protection.json", old.complete_export(validators, root=MAINNET_ROOT))
    directory = old.web3signer_keys(tmp_path, validators)
    sections = network_of_age(tmp_path, NOW + 0.25) | {
        "keys": {"quarantine_epochs": 2, "config_directory": str(directory)}
    }
    with running_signer(tmp_path, sections=sections) as signer:
        assert signer.public_keys() == keys
        done(signer, "slashing", "import", export)
        check_vero_is_served(signer, keys)
        for key in keys:
            check_history_is_heard(signer, key, KNOWN_ROOTS)
        done(signer, "migrate", "out", "--all", "--to", tmp_path / "parcel")
    marks = Marks(NOW * SLOTS_PER_EPOCH, NOW - 1, NOW)
    accepted = ACCEPTORS["web3signer"]((tmp_path / "parcel" / "history.json").read_bytes(), MAINNET_ROOT)
    assert accepted == dict.fromkeys(keys, marks)


def check_vero_is_served(signer: RunningSigner, keys: list[str]) -> None:
    """It polls the keys and /healthcheck, and reads a signature as plain text (dossier 2.7)."""
    status, health = signer.get("/healthcheck")
    assert (status, json.loads(health)["outcome"]) == (200, "UP")
    body = json.dumps(vote_body(*SIGNED[-1])).encode()
    head = (
        f"POST /api/v1/eth2/sign/{keys[0]} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: text/plain\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    with line_to(signer.port) as line:
        answer = line.ask(head.encode() + body)
    assert (answer.status, answer.body[:2], len(answer.body)) == (200, b"0x", 194)


LIGHTHOUSE_PAGE = REPOSITORY / "docs" / "migrating" / "lighthouse.md"


def test_the_page_of_lighthouse_works_line_by_line(tmp_path: Path) -> None:
    """Every line of ours on the page, as it stands there but for the network; the other pages have the same ones."""
    validators = [with_history(90)]
    key = validators[0].public_key
    old.lighthouse_keys(tmp_path / "lighthouse", validators)
    _json(tmp_path / "protection.json", old.complete_export(validators, root=MAINNET_ROOT))
    config = write_configuration(tmp_path, network_of_age(tmp_path, NOW + 0.25) | {"keys": {"quarantine_epochs": 2}})
    blocks = re.findall(r"^```sh\n(.*?)^```", LIGHTHOUSE_PAGE.read_text(), re.MULTILINE | re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines() if line.startswith("holdfast ")]
    told, signer = {}, None
    try:
        for line in lines:
            words = shlex.split(line, comments=True)[1:]
            if words[0] == "serve":
                signer = RunningSigner(config)
                signer.wait_until_ready()
                check_history_is_heard(signer, key, KNOWN_ROOTS)
                continue
            named = {"network.name=mainnet": f"network.config_file={tmp_path / 'network.yaml'}"}
            example = named | {"0x8c1d...": key, "411500": str(SIGNED[-1][0]), "411501": str(SIGNED[-1][1])}
            done = run(
                [*HOLDFAST, *[example.get(word, word) for word in words]],
                check=False, capture_output=True, text=True, cwd=tmp_path, timeout=120,
                env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
            )  # fmt: skip
            told[" ".join(words[:2])] = (done.returncode, done.stdout + done.stderr)
        assert signer is not None
        with line_to(signer.port) as line_:
            assert line_.sign(key, vote_body(NOW, NOW + 1)).verdict == "412 KEY_DISABLED"
    finally:
        if signer is not None:
            signer.stop()
    codes = {command: code for command, (code, _) in told.items()}
    assert codes.pop("slashing explain") == 1, "another vote for the same target would not be signed"
    assert "(DOUBLE_VOTE)" in told["slashing explain"][1], "and not only because no history is there"
    assert set(codes.values()) == {0}, told
    assert set(codes) == {
        "init --config", "doctor --config", "keys import", "slashing import", "keys list", "migrate out"
    }  # fmt: skip
    assert ACCEPTORS["lighthouse"]((tmp_path / "parcel" / "history.json").read_bytes(), MAINNET_ROOT)[key].target == NOW
