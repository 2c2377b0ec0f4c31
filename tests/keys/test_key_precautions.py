"""Publicly known keys, files open to others, and memory that is not there."""

import json
import threading
from pathlib import Path
from typing import Any

import pytest

from signer.crypto.bls import SecretKey
from signer.keys.exposure import find_secret_files
from signer.keys.key import Key, Origin
from signer.keys.memory_budget import SMALLEST_BUDGET_BYTES, MemoryBudget, spare_memory_budget
from signer.keys.public_test_keys import interop_secret, publicly_known


def key_of(house: Any, secret: bytes) -> Key:
    handle = SecretKey.from_bytes(secret)
    return Key(house.bls.public_key(handle), handle, Origin.RAW_FILE, Path("/x"))


def test_the_interop_keys_are_the_published_ones(house: Any) -> None:
    """ethereum/eth2.0-pm, interop/mocked_start: the first of the quickstart validators."""
    assert interop_secret(0).hex() == "25295f0d1d592a90b333e26e85149708208e9f8e8bc18f6c77bd62f8ad7a6866"
    published = "a99a76ed7796f7be22d5b7e85deeb7c5677e88e511e0b337618f8c4eb61349b4bf2d153f649f7b53359fe8b94a38e44c"
    assert key_of(house, interop_secret(0)).public_key.hex() == published


@pytest.mark.parametrize("index", [0, 1, 1023, 99_999])
def test_interop_keys_are_publicly_known(house: Any, index: int) -> None:
    key = key_of(house, interop_secret(index))
    assert publicly_known([key]) == (key.public_key,)


def test_keys_of_standards_and_test_suites_are_publicly_known(house: Any, vectors: Path) -> None:
    texts = {"000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f"}
    texts |= {
        case["privkey"] for case in json.loads((vectors / "web3signer-acceptance/deposit_requests.json").read_text())
    }
    texts.add(
        json.loads((vectors / "web3signer-acceptance/commit_boost.json").read_text())["private_keys"]["bls_delegator"]
    )
    for file in (vectors / "eth-consensus" / "bls" / "sign").glob("*.json"):
        text = json.loads(file.read_text())["input"]["privkey"]
        texts |= {text} if int(text, 16) else set()
    keys = [key_of(house, bytes.fromhex(text.removeprefix("0x"))) for text in texts]
    assert len(keys) >= 6
    assert set(publicly_known(keys)) == {key.public_key for key in keys}


def test_deposit_test_keys_are_publicly_known(house: Any, vectors: Path) -> None:
    files = list((vectors / "wallets" / "deposit-cli").glob("*/*.json"))
    texts = [deposit["pubkey"] for file in files for deposit in json.loads(file.read_text())]
    assert len(texts) == 7
    secret = house.secret(12345)
    keys = [Key(bytes.fromhex(text), secret, Origin.RAW_FILE, Path("/x")) for text in texts]
    assert publicly_known(keys) == tuple(key.public_key for key in keys)


def test_a_key_of_ones_own_is_not_publicly_known(house: Any) -> None:
    own = [key_of(house, bytes([1 + number]) * 32) for number in range(50)]
    known = key_of(house, interop_secret(5))
    assert publicly_known([*own, known]) == (known.public_key,)
    assert publicly_known([]) == ()


def test_every_file_with_a_secret_is_found_wherever_it_is_named(house: Any, tmp_path: Path) -> None:
    raw, listed = house.add_raw("raw", 1), house.add_keystore_file("listed", 2)
    house.add_bulk("bulk", 3)
    (house.config / "unread.yaml").write_text("privateKey: [")
    far = tmp_path / "far"
    (house.config / "far.yaml").write_text(
        f"type: file-keystore\nkeystoreFile: {far}/k.json\nkeystorePasswordFile: {far}/k.txt\n"
    )
    found = find_secret_files(house.locations)
    yamls = {raw, listed, house.config / "unread.yaml", house.config / "far.yaml"}
    passwords = {house.config / "listed.password", house.passwords / "bulk.txt", far / "k.txt"}
    assert found.clear == tuple(sorted(yamls | passwords))
    assert found.encrypted == tuple(sorted([house.config / "listed.json", house.bulk / "bulk.json", far / "k.json"]))


def test_work_waits_until_there_is_memory() -> None:
    budget = MemoryBudget(100)
    held_at_once: list[int] = []
    peak: list[int] = []
    lock = threading.Lock()

    def work(share: int) -> None:
        for _ in range(50):
            with budget.hold(share):
                with lock:
                    held_at_once.append(share)
                    peak.append(sum(held_at_once))
                with lock:
                    held_at_once.remove(share)

    workers = [threading.Thread(target=work, args=(share,)) for share in (30, 40, 60, 100)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert max(peak) <= 100


def test_work_larger_than_the_budget_runs_alone_and_does_not_wait_for_ever() -> None:
    budget = MemoryBudget(100)
    with budget.hold(10**12):
        pass
    with budget.hold(100):
        pass


def test_work_that_fails_gives_its_memory_back() -> None:
    budget = MemoryBudget(100)
    for _ in range(3):
        with pytest.raises(ZeroDivisionError), budget.hold(100):
            raise ZeroDivisionError


def test_this_machine_has_room_for_one_keystore() -> None:
    budget = spare_memory_budget()
    assert budget._budget_bytes >= SMALLEST_BUDGET_BYTES
