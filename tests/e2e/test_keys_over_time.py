"""Keys of a running signer: the slow first load, reloads with good and bad files, and what production refuses."""

import contextlib
import http.client
import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from duty_requests import NO_GUARD, line_to, vote_body
from running import (
    RunningSigner,
    holdfast,
    interop_secret,
    running_signer,
    set_up,
    write_configuration,
    write_raw_keys,
)

from signer.crypto import bls
from signer.crypto.bls import SecretKey
from signer.crypto.secret import Secret
from signer.keys.keystore_writer import STANDARD_SCRYPT, encode_keystore

WAIT_SECONDS = 60
KEYSTORE_SECRETS = [interop_secret(number) for number in range(100, 108)]
BLS = bls.load()


def public_key(secret: int) -> str:
    return "0x" + BLS.public_key(_secret(secret)).hex()


def _secret(secret: int) -> SecretKey:
    return SecretKey.from_bytes(secret.to_bytes(32, "big"))


def write_raw(signer: RunningSigner, name: str, secret: int) -> Path:
    file = signer.directory / "keys" / name
    file.write_text(f'type: "file-raw"\nkeyType: "BLS"\nprivateKey: "0x{secret:064x}"\n')
    file.chmod(0o600)
    return file


@pytest.fixture(scope="module")
def slow_keystores(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The configuration of bulk keystores at EIP-2335's own cost: half a second for each, seconds for all."""
    directory = tmp_path_factory.mktemp("slow")
    keystores = directory / "keystores"
    keystores.mkdir(mode=0o700)
    password = directory / "password.txt"
    password.write_text("correct horse battery staple\n")
    password.chmod(0o600)

    def write(secret: int) -> None:
        key = _secret(secret)
        content = encode_keystore(
            key, BLS.public_key(key), Secret(b"correct horse battery staple"), cost=STANDARD_SCRYPT
        )
        file = keystores / f"{secret % 2**32}.json"
        file.write_bytes(content)
        file.chmod(0o600)

    with ThreadPoolExecutor() as pool:
        list(pool.map(write, KEYSTORE_SECRETS))
    return {"keystores_directory": str(keystores), "password_file": str(password)}


def start_with(tmp_path: Path, keys: dict[str, str]) -> RunningSigner:
    """A signer that has begun to open these keystores."""
    config_file = write_configuration(tmp_path, {**NO_GUARD, "keys": keys})
    set_up(config_file)
    signer = RunningSigner(config_file)
    signer.wait_until_listening()
    return signer


def ask(signer: RunningSigner, method: str, path: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", signer.port, timeout=WAIT_SECONDS)
    with contextlib.closing(connection):
        connection.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
        answer = connection.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()


def reload_status(signer: RunningSigner) -> dict[str, Any]:
    return json.loads(ask(signer, "GET", "/reload")[2])


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)  # polling another process: there is nothing to wait on


def order_reload(signer: RunningSigner) -> None:
    """Order a reload. The first load still runs for a moment after the signer is ready."""
    wait_for(lambda: reload_status(signer)["status"] != "running")
    assert ask(signer, "POST", "/reload")[0] == 202


def reload(signer: RunningSigner) -> dict[str, Any]:
    """Order a reload, wait for its end, and tell how it went."""
    order_reload(signer)
    wait_for(lambda: reload_status(signer)["status"] != "running")
    return reload_status(signer)


@pytest.fixture
def signer(tmp_path: Path) -> Iterator[RunningSigner]:
    with running_signer(tmp_path, secrets=[interop_secret(0), interop_secret(1)], sections=NO_GUARD) as running:
        yield running


# --- reloads -----------------------------------------------------------------------------------------


def test_a_new_key_serves_after_a_reload_and_the_list_changes_with_its_tag(signer: RunningSigner) -> None:
    status, headers, before = ask(signer, "GET", "/api/v1/eth2/publicKeys")
    tag = headers["etag"]
    assert status == 200
    assert ask(signer, "GET", "/api/v1/eth2/publicKeys", If_None_Match=tag)[0] == 304
    new = public_key(interop_secret(7))
    with line_to(signer.port) as line:
        assert line.sign(new, vote_body(1, 2)).status == 404
        write_raw(signer, "new.yaml", interop_secret(7))
        assert reload(signer)["status"] == "completed"
        assert line.sign(new, vote_body(1, 2)).signature
    status, headers, after = ask(signer, "GET", "/api/v1/eth2/publicKeys", If_None_Match=tag)
    assert status == 200
    assert headers["etag"] != tag
    assert json.loads(after) == sorted([*json.loads(before), new])


def test_sighup_reloads_too(signer: RunningSigner) -> None:
    write_raw(signer, "new.yaml", interop_secret(7))
    signer.process.send_signal(signal.SIGHUP)
    wait_for(lambda: public_key(interop_secret(7)) in signer.public_keys())
    assert signer.process.poll() is None


@pytest.mark.parametrize(
    "spoil",
    [
        lambda file: file.write_text("type: file-raw\nprivateKey: 'no key at all'\n"),
        lambda file: file.write_text("{{{ no yaml"),
        lambda file: file.write_bytes(b"\xff\xfe\x00"),
        lambda file: file.write_text(""),
    ],
    ids=["bad key", "no yaml", "no text", "empty"],
)
def test_a_file_that_turns_bad_is_reported_and_its_key_goes_on_serving(signer: RunningSigner, spoil) -> None:
    file = write_raw(signer, "one.yaml", interop_secret(7))
    assert reload(signer)["status"] == "completed"
    key = public_key(interop_secret(7))
    spoil(file)
    told = reload(signer)
    assert told["status"] == "completed_with_errors"
    assert "1 signer loading error" in told["lastError"]
    with line_to(signer.port) as line:
        assert line.sign(key, vote_body(1, 2)).signature
    assert key in signer.public_keys()
    status, _, body = ask(signer, "GET", "/healthcheck")
    assert status == 503, "Web3Signer's contract: a load error is DOWN"
    assert json.loads(body)["status"] == "DOWN"
    assert ask(signer, "GET", "/health/ready")[0] == 200, "and it signs: do not restart it"
    assert "one.yaml" in signer.log


def test_a_key_whose_file_was_removed_is_gone_after_a_reload_and_only_then(signer: RunningSigner) -> None:
    file = write_raw(signer, "one.yaml", interop_secret(7))
    reload(signer)
    key = public_key(interop_secret(7))
    file.unlink()
    with line_to(signer.port) as line:
        assert line.sign(key, vote_body(1, 2)).signature
        assert reload(signer)["status"] == "completed"
        assert line.sign(key, vote_body(2, 3)).status == 404


def test_a_directory_that_cannot_be_read_unloads_nothing(signer: RunningSigner) -> None:
    before = signer.public_keys()
    (signer.directory / "keys").rename(signer.directory / "elsewhere")
    assert reload(signer)["status"] in {"completed_with_errors", "failed"}
    assert signer.public_keys() == before
    with line_to(signer.port) as line:
        assert line.sign(before[0], vote_body(1, 2)).signature


def test_keys_appear_all_at_once_while_they_are_in_use(signer: RunningSigner) -> None:
    """Whoever lists keys during a reload sees the old set or the new one, and every listed key signs."""
    before = signer.public_keys()
    write_raw_keys(signer.directory / "keys", [interop_secret(number) for number in range(300)])
    with line_to(signer.port) as line:
        order_reload(signer)
        seen = set()
        while len(seen) < 2:
            keys = signer.public_keys()
            seen.add(len(keys))
            assert len(keys) in {len(before), 300}
            answer = line.sign(keys[-1], vote_body(1, 2))
            assert answer.signature, "a listed key must sign"
            if len(keys) == 300:
                break
    assert len(signer.public_keys()) == 300


# --- the first load ----------------------------------------------------------------------------------


def test_while_keystores_are_opened_nothing_pretends_to_be_complete(tmp_path: Path, slow_keystores) -> None:
    keys = sorted(map(public_key, KEYSTORE_SECRETS))
    began = time.monotonic()
    signer = start_with(tmp_path, slow_keystores)
    try:
        status, _, body = ask(signer, "GET", "/api/v1/eth2/publicKeys")
        assert (status, json.loads(body)["code"]) == (503, "NOT_READY")
        assert ask(signer, "GET", "/health/ready")[0] == 503
        assert ask(signer, "GET", "/health/startup")[0] == 503
        assert ask(signer, "GET", "/health/live")[0] == 200
        assert ask(signer, "GET", "/upcheck")[0] == 200
        assert ask(signer, "POST", "/reload")[0] == 409, "the first load runs"
        assert reload_status(signer)["status"] == "running"
        with line_to(signer.port) as line:
            answer = line.sign(keys[0], vote_body(1, 2))
            assert answer.status in {404, 500}, "a route that signs never answers 503"
        signer.wait_until_ready()
        first_load = time.monotonic() - began
        assert signer.public_keys() == keys
        with line_to(signer.port) as line:
            assert line.sign(keys[0], vote_body(1, 2)).signature
        signer.stop()
        signer.start()
        signer.wait_until_listening()
        started = time.monotonic()
        signer.wait_until_ready()
        assert time.monotonic() - started < first_load / 2, "sealed keys need no scrypt"
        assert signer.public_keys() == keys
    finally:
        signer.stop()


def test_a_kill_during_the_first_load_costs_nothing_but_time(tmp_path: Path, slow_keystores) -> None:
    signer = start_with(tmp_path, slow_keystores)
    signer.kill()
    signer.restart()
    try:
        assert signer.public_keys() == sorted(map(public_key, KEYSTORE_SECRETS))
    finally:
        assert signer.stop() == 0


def test_a_signer_that_is_told_to_stop_during_its_first_load_stops(tmp_path: Path, slow_keystores) -> None:
    signer = start_with(tmp_path, slow_keystores)
    assert signer.stop() == 0


# --- production --------------------------------------------------------------------------------------


def production(directory: Path, sections: dict[str, Any] | None = None) -> Path:
    """What production starts with, made ready, and then overlaid."""
    for weakening in ({}, sections or {}):
        config_file = write_configuration(directory, {"clock": {"source": "trusted"}, **weakening})
        settings = {**json.loads(config_file.read_text()), "preset": "production"}
        config_file.write_text(json.dumps(settings))
        if not weakening:
            set_up(config_file)
    return config_file


@contextlib.contextmanager
def production_signer(directory: Path) -> Iterator[tuple[RunningSigner, str]]:
    """A ready signer with one key that nobody else knows, and that key."""
    secret = int.from_bytes(os.urandom(31))
    config_file = production(directory)
    write_raw_keys(directory / "keys", [secret])
    signer = RunningSigner(config_file)
    try:
        signer.wait_until_ready()
        yield signer, public_key(secret)
    finally:
        signer.stop()


def test_production_starts_with_keys_that_nobody_else_knows(tmp_path: Path) -> None:
    with production_signer(tmp_path) as (signer, key):
        assert signer.public_keys() == [key]
        assert signer.stop() == 0


def refused(config_file: Path) -> dict[str, Any]:
    told = holdfast(config_file, "serve", "--json", seconds=20)
    assert told.returncode in {1, 2}, (told.returncode, told.stderr)
    document = json.loads(told.stderr[told.stderr.index("{\n") :])
    assert document["remedy"]
    return document


@pytest.mark.parametrize(
    ("sections", "words"),
    [
        ({"server": {"host": "0.0.0.0"}}, "nobody is asked who they are"),
        ({"clock": {"source": "trusted", "far_future_epochs": None}}, "far-future guard"),
        ({"network": {"pin_first_seen": True}}, "pin_first_seen"),
        ({"clock": {"source": "ntp:127.0.0.1:1"}}, "clock"),
    ],
    ids=["open listener", "no guard", "first seen", "no clock"],
)
def test_production_refuses_what_would_weaken_it(tmp_path: Path, sections: dict[str, Any], words: str) -> None:
    assert words in refused(production(tmp_path, sections))["detail"]


@pytest.mark.parametrize("which", ["data", "keys.yaml", "master.key"])
def test_production_refuses_what_others_can_read(tmp_path: Path, which: str) -> None:
    config_file = production(tmp_path)
    write_raw_keys(tmp_path / "keys", [int.from_bytes(os.urandom(31))])
    opened = {
        "data": tmp_path / "data",
        "keys.yaml": tmp_path / "keys" / "keys.yaml",
        "master.key": tmp_path / "data" / "master.key",
    }[which]
    opened.chmod(opened.stat().st_mode | 0o044)
    document = refused(config_file)
    assert which in document["detail"]
    assert "chmod" in document["remedy"]


def test_production_does_not_serve_public_test_keys(tmp_path: Path) -> None:
    config_file = production(tmp_path)
    write_raw_keys(tmp_path / "keys", [int.from_bytes(os.urandom(31)), interop_secret(3)])
    document = refused(config_file)
    assert "publicly known test keys" in document["detail"]
    assert public_key(interop_secret(3)) in document["detail"]


def test_a_public_test_key_that_comes_with_a_reload_changes_nothing(tmp_path: Path) -> None:
    with production_signer(tmp_path) as (signer, key):
        write_raw(signer, "demo.yaml", interop_secret(3))
        told = reload(signer)
        assert told["status"] == "failed"
        assert "publicly known" in told["lastError"]
        assert signer.public_keys() == [key]


def test_strict_refuses_to_start_with_a_bad_file(tmp_path: Path) -> None:
    config_file = write_configuration(tmp_path, {"keys": {"strict": True}})
    write_raw_keys(tmp_path / "keys", [interop_secret(0)])
    (tmp_path / "keys" / "bad.yaml").write_text("type: nonsense\n")
    set_up(config_file)
    assert "bad.yaml" in refused(config_file)["detail"]
