"""An operator of Web3Signer brings keystores and slashing records as they are, and finds them here."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from duty_requests import NO_GUARD, block_body, line_to, root_of, vote_body
from py_ecc.bls import G2ProofOfPossession
from running import RunningSigner, interop_secret, running_signer

CHAIN = "0x04700007fabc8282644aed6d1c7c9e21d38a03a0c4ba193f3afe428824b3a673"


@pytest.fixture(scope="module")
def resources(vectors: Path) -> Path:
    return vectors / "web3signer-acceptance" / "resources"


def is_right(public_key: str, root: bytes, signature: str) -> bool:
    """Whether a signature holds, by a library that has nothing to do with the signer's."""
    return bool(G2ProofOfPossession.Verify(bytes.fromhex(public_key[2:]), root, bytes.fromhex(signature[2:])))


@pytest.fixture(scope="module")
def keystores(resources: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSigner]:
    """Web3Signer's acceptance keystores: one named in a YAML file, one in bulk among broken ones."""
    directory = tmp_path_factory.mktemp("keystores")
    keys, bulk, passwords = (directory / name for name in ("keys", "bulk", "passwords"))
    for made in (keys, bulk, passwords):
        made.mkdir(mode=0o700)
    acceptance = resources / "acceptance-tests" / "eth2"
    shutil.copy(acceptance / "bls_keystore.json", keys / "bls_keystore.json")
    (keys / "password.txt").write_text("somepassword")
    (keys / "one.yaml").write_text(
        "fileType: file-keystore\n"
        "type: file-keystore\nkeyType: BLS\nkeystoreFile: bls_keystore.json\nkeystorePasswordFile: password.txt\n"
    )
    shutil.copy(acceptance / "bls_keystore_2.json", bulk / "two.json")
    (passwords / "two.txt").write_text("otherpassword")
    for broken in sorted((resources / "bls-keystore").rglob("*.json")):
        if broken.stem.startswith(("missing", "unsupported")):
            shutil.copy(broken, bulk / broken.name)
            (passwords / f"{broken.stem}.txt").write_text("testpassword")
    sections = {**NO_GUARD, "keys": {"keystores_directory": str(bulk), "passwords_directory": str(passwords)}}
    with running_signer(directory, sections=sections) as running:
        yield running


def test_both_keystores_serve_and_their_signatures_hold(keystores: RunningSigner, resources: Path) -> None:
    expected = [
        "0x" + json.loads((resources / "acceptance-tests" / "eth2" / name).read_text())["pubkey"]
        for name in ("bls_keystore.json", "bls_keystore_2.json")
    ]
    assert keystores.public_keys() == sorted(expected)
    with line_to(keystores.port) as line:
        for key in expected:
            signature = line.sign(key, vote_body(1, 2)).signature
            assert signature is not None
            assert is_right(key, root_of(vote_body(1, 2)), signature)
    assert not is_right(key, root_of(vote_body(1, 2, "another")), signature)


def test_every_broken_keystore_is_named_and_none_stops_the_others(keystores: RunningSigner) -> None:
    status, body = keystores.get("/healthcheck")
    assert (status, json.loads(body)["status"]) == (503, "DOWN")
    broken = [file for file in (keystores.directory / "bulk").iterdir() if file.stem != "two"]
    assert len(broken) >= 7
    for file in broken:
        assert file.name in keystores.log, file.name
    assert keystores.get("/health/ready")[0] == 200


# --- slashing records --------------------------------------------------------------------------------


SECTIONS = {**NO_GUARD, "network": {"name": "minimal", "genesis_validators_root": CHAIN}}


@pytest.fixture
def signer(tmp_path: Path) -> Iterator[RunningSigner]:
    with running_signer(tmp_path, secrets=[interop_secret(0)], sections=SECTIONS) as running:
        yield running


@pytest.mark.parametrize("name", ["slashingImport.json", "slashingImport_two_entries.json"])
def test_a_record_of_web3signer_comes_out_as_it_went_in(signer: RunningSigner, resources: Path, name: str) -> None:
    file = resources / "acceptance-tests" / "slashing" / name
    told = signer.holdfast("slashing", "import", file)
    assert told.returncode == 0, told.stderr
    out = signer.directory / "out.json"
    assert signer.holdfast("slashing", "export", "--to", out).returncode == 0
    found, expected = json.loads(out.read_text()), json.loads(file.read_text())
    assert found["metadata"] == expected["metadata"]
    assert sorted(found["data"], key=_key) == sorted(expected["data"], key=_key)


def _key(entry: dict[str, str]) -> str:
    return entry["pubkey"]


def test_a_record_that_was_imported_protects_the_key_that_it_is_about(signer: RunningSigner, resources: Path) -> None:
    document = json.loads((resources / "acceptance-tests" / "slashing" / "slashingImport.json").read_text())
    entry = document["data"][0]
    entry["pubkey"] = signer.public_keys()[0]
    file = signer.directory / "record.json"
    file.write_text(json.dumps(document))
    assert signer.holdfast("slashing", "import", file).returncode == 0
    slot = int(entry["signed_blocks"][0]["slot"])
    vote = entry["signed_attestations"][0]
    source, target = int(vote["source_epoch"]), int(vote["target_epoch"])
    with line_to(signer.port) as line:
        refused = [
            line.sign(entry["pubkey"], block_body(slot, network=CHAIN)),
            line.sign(entry["pubkey"], block_body(slot - 1, network=CHAIN)),
            line.sign(entry["pubkey"], vote_body(source, target, network=CHAIN)),
            line.sign(entry["pubkey"], vote_body(source - 1, target + 1, network=CHAIN)),
        ]
        assert [answer.status for answer in refused] == [412] * 4
        assert line.sign(entry["pubkey"], block_body(slot + 1, network=CHAIN)).signature
        assert line.sign(entry["pubkey"], vote_body(target, target + 1, network=CHAIN)).signature


MALFORMED = {
    "missingDataField.json": "MALFORMED_REQUEST",
    "dataFieldNotArray.json": "MALFORMED_REQUEST",
    "missingPublicKey.json": "UNUSABLE_HISTORIES",
    "errorInSecondBlock.json": "UNUSABLE_HISTORIES",
    "errorInSecondValidator.json": "UNUSABLE_HISTORIES",
}


def test_malformed_records_are_refused_and_change_nothing(signer: RunningSigner, resources: Path) -> None:
    for name, code in MALFORMED.items():
        file = resources / "slashing-protection" / "interchange" / name
        told = signer.holdfast("slashing", "import", file, "--json")
        assert told.returncode == 1, (name, told.stdout)
        problem = json.loads(told.stderr[told.stderr.index("{\n") :])
        assert problem["code"] == code, (name, problem)
    out = signer.directory / "out.json"
    assert signer.holdfast("slashing", "export", "--to", out).returncode == 0
    assert json.loads(out.read_text())["data"] == []
