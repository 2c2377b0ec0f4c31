"""The readers that judge our exports do refuse what their clients refuse, and take what clients have written.

Where a source leaves room (is a number without quotes taken?), a reader is the stricter one.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from client_acceptors import ACCEPTORS, Marks, NotAcceptedError

ROOT = "0x" + "04" * 32
KEY = "0x" + "ab" * 48


def document() -> dict[str, Any]:
    metadata = {"interchange_format_version": "5", "genesis_validators_root": ROOT}
    vote = {"source_epoch": "2", "target_epoch": "3", "signing_root": "0x" + "11" * 32}
    return {
        "metadata": metadata,
        "data": [{"pubkey": KEY, "signed_blocks": [{"slot": "81"}], "signed_attestations": [vote]}],
    }


@pytest.mark.parametrize("client", ACCEPTORS)
def test_a_sound_document_is_taken(client: str) -> None:
    accepted = ACCEPTORS[client](json.dumps(document()).encode(), ROOT)
    assert accepted == {KEY: Marks(81, 2, 3)}


def _set(*path: Any, to: Any) -> Callable[[dict[str, Any]], None]:
    def change(whole: Any) -> None:
        for step in path[:-1]:
            whole = whole[step]
        whole[path[-1]] = to

    return change


EVERYBODY = set(ACCEPTORS)
REFUSED = [
    (_set("metadata", "interchange_format_version", to="4"), EVERYBODY),
    (_set("metadata", "genesis_validators_root", to="0x" + "05" * 32), EVERYBODY),
    (_set("data", 0, "pubkey", to="0x" + "ab" * 47), EVERYBODY),
    (_set("data", to={}), EVERYBODY),
    (_set("data", 0, "signed_blocks", 0, "slot", to=81), EVERYBODY),
    (_set("data", 0, "signed_attestations", 0, "target_epoch", to="0x3"), EVERYBODY),
    (_set("data", 0, "signed_blocks", 0, "slot", to=str(2**64)), EVERYBODY),
    (_set("data", 0, "signed_blocks", 0, "slot", to=str(2**63)), {"nimbus", "dirk", "lodestar"}),
    (_set("data", 0, "signed_blocks", 0, "slot", to=str(2**53)), {"lodestar"}),
    (_set("data", 0, "signed_blocks", 0, "signing_root", to="0x11"), {"lighthouse", "prysm", "nimbus", "lodestar"}),
    (_set("data", 0, "validator_index", to="1"), {"lighthouse", "web3signer"}),
    (_set("metadata", "genesis_validators_root", to="0x" + "0A" * 32), EVERYBODY),
    (_set("data", 0, "pubkey", to="0x" + "AB" * 48), {"web3signer"}),
    (_set("data", 0, "pubkey", to="ab" * 48), {"lighthouse", "nimbus", "web3signer", "dirk"}),
    (_set("data", 0, "signed_attestations", 0, "source_epoch", to="4"), {"lighthouse"}),
    (_set("data", 0, "signed_blocks", to=[{"slot": "81"}, {"slot": "81"}]), {"prysm", "web3signer"}),
]


@pytest.mark.parametrize(("change", "refusing"), REFUSED)
def test_what_a_client_refuses_its_reader_refuses(change: Callable[[dict[str, Any]], None], refusing: set[str]) -> None:
    whole = document()
    change(whole)
    refused = set()
    for client, accept in ACCEPTORS.items():
        try:
            accept(json.dumps(whole).encode(), ROOT)
        except NotAcceptedError:
            refused.add(client)
    assert refused == refusing


FILES = {
    "teku/format1_complete.json": True,
    "teku/format2_minimal.json": True,
    "teku/oldMetadata.json": False,
    "teku/signedBlock.json": False,
    "teku/invalid_json.json": False,
    "lodestar/lodestar-1.5.1-v5.json": True,
    "lodestar/lodestar-1.5.1-cli-raw.json": False,
    "web3signer/slashingImport.json": True,
    "web3signer/slashingImport_two_entries.json": True,
    "web3signer/dataFieldNotArray.json": False,
    "web3signer/missingPublicKey.json": False,
}
"""What each client's own test or export says of its own files."""


@pytest.mark.parametrize("name", FILES)
def test_a_clients_own_files_are_judged_as_it_judges_them(vectors: Path, name: str) -> None:
    text = (vectors / "interchange-clients" / name).read_bytes()
    root = text.partition(b'"genesis_validators_root"')[2].partition(b'"')[2].partition(b'"')[0].decode()
    try:
        ACCEPTORS[name.partition("/")[0]](text, root)
    except NotAcceptedError:
        assert not FILES[name]
    else:
        assert FILES[name]
