"""EIP-3076's own suite, in complete mode: through the operations on the journal, and over HTTP on a running signer.

Over HTTP nobody can choose a signing root, so each distinct root of a case becomes a distinct message, and documents
are imported with the roots that our signer computes for those messages. Each public key becomes a fresh one of ours.
"""

import json
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from duty_requests import Line, block_body, line_to, root_of, vote_body
from journal.record import PlainStory
from running import RunningSigner, interop_secret, running_signer

from signer.auth.principal import OPERATOR, Caller
from signer.cli.connection import socket_connection
from signer.cli.remote_service import RemoteService
from signer.clock import FixedClock
from signer.errors import AnsweredError, RefusalError, WrongNetworkError
from signer.eth2.builtin_networks import find_network
from signer.journal.command import Command
from signer.journal.reader import read_sqlite
from signer.operations.horizon import Horizon
from signer.operations.importing import WriterImports
from signer.operations.protect import Protection
from signer.operations.record import Places, open_record
from signer.slashing.ledger import AttestationClaim, BlockClaim
from signer.units import Epoch, PublicKey, Root, Slot

CASES = 38
VERDICTS = 150

Import = Callable[[dict[str, Any]], Awaitable[str]]
"""Takes an interchange document; empty, or the code of the refusal."""

Sign = Callable[[str, str, dict[str, Any]], Awaitable[bool]]
"""Kind, public key and message of the suite; whether it was signed."""


def cases(vectors: Path) -> Iterator[dict[str, Any]]:
    files = sorted((vectors / "eip3076" / "tests" / "generated").glob("*.json"))
    assert len(files) == CASES
    for file in files:
        yield json.loads(file.read_text())


async def run_case(case: dict[str, Any], take_in: Import, sign: Sign) -> int:
    """Every step of a case; how many verdicts were compared."""
    verdicts = 0
    for number, step in enumerate(case["steps"]):
        where = (case["name"], number)
        refusal = await take_in(step["interchange"])
        # What contains slashable data may be refused or taken in; we take it in, and then all checks apply.
        assert refusal == ("" if step["should_succeed"] else "WRONG_NETWORK"), where
        for kind in ("blocks", "attestations"):
            for message in step[kind]:
                allowed = await sign(kind, message["pubkey"], message)
                assert allowed is message["should_succeed_complete"], (where, kind, message)
                verdicts += 1
    return verdicts


# --- on the journal --------------------------------------------------------------------------------


async def test_every_verdict_on_the_journal(vectors: Path, tmp_path: Path) -> None:
    verdicts = 0
    for case in cases(vectors):
        verdicts += await on_the_journal(case, tmp_path / case["name"])
    assert verdicts == VERDICTS


async def on_the_journal(case: dict[str, Any], directory: Path) -> int:
    directory.mkdir()
    chain = Root(bytes.fromhex(case["genesis_validators_root"][2:]))
    places = Places(directory, directory / "head")
    record = open_record(places, genesis_validators_root=chain, on_death=_fail)
    imports = WriterImports(
        changes=record.writer,
        horizon=Horizon(find_network("mainnet"), FixedClock(1_800_000_000), 1),
        pinned=lambda: record.pinned,
        reading=partial(read_sqlite, places.database),
        data_directory=directory,
    )
    protection = Protection(imports=imports, reading=places.view.reading)
    file = directory / "document.json"

    async def take_in(document: dict[str, Any]) -> str:
        file.write_text(json.dumps(document))
        try:
            await protection.import_interchange(file, Caller(OPERATOR))
        except WrongNetworkError as error:
            return error.code
        return ""

    async def sign(kind: str, key: str, message: dict[str, Any]) -> bool:
        public_key = PublicKey(bytes.fromhex(key[2:]))
        root = Root(bytes.fromhex(message.get("signing_root", "ff" * 33)[2:]))
        claim: AttestationClaim | BlockClaim
        if kind == "blocks":
            claim = BlockClaim(public_key, Slot(int(message["slot"])), root)
        else:
            source, target = Epoch(int(message["source_epoch"])), Epoch(int(message["target_epoch"]))
            claim = AttestationClaim(public_key, source, target, root)
        try:
            await record.writer.commit(Command((claim,), PlainStory()))
        except RefusalError:
            return False
        return True

    try:
        return await run_case(case, take_in, sign)
    finally:
        record.close()


def _fail(error: Exception) -> None:
    raise error


# --- over HTTP ---------------------------------------------------------------------------------------


async def test_every_verdict_over_http(vectors: Path, tmp_path: Path) -> None:
    chains: dict[str, list[dict[str, Any]]] = {}
    for case in cases(vectors):
        chains.setdefault(case["genesis_validators_root"], []).append(case)
    verdicts = 0
    for number, (chain, of_chain) in enumerate(chains.items()):
        directory = tmp_path / f"chain {number}"
        directory.mkdir()
        secrets = [interop_secret(index) for index in range(sum(len(keys_of(case)) for case in of_chain))]
        sections = {
            "network": {"name": "minimal", "genesis_validators_root": chain},
            "clock": {"far_future_epochs": None},
        }
        with running_signer(directory, secrets=secrets, sections=sections) as signer, line_to(signer.port) as line:
            fresh = iter(signer.public_keys())
            for case in of_chain:
                verdicts += await over_http(case, signer, line, {key: next(fresh) for key in keys_of(case)})
            assert signer.holdfast("audit", "verify").returncode == 0
    assert verdicts == VERDICTS


def keys_of(case: dict[str, Any]) -> list[str]:
    named = [entry["pubkey"] for step in case["steps"] for entry in step["interchange"]["data"]]
    asked = [message["pubkey"] for step in case["steps"] for kind in KINDS for message in step[kind]]
    return sorted({*named, *asked})


KINDS = ("blocks", "attestations")


async def over_http(case: dict[str, Any], signer: RunningSigner, line: Line, ours: dict[str, str]) -> int:
    chain = case["genesis_validators_root"]
    service = RemoteService(socket_connection(signer.data_directory / "admin.sock"))
    file = signer.directory / "document.json"

    def body(kind: str, message: dict[str, Any]) -> dict[str, Any]:
        mark = message.get("signing_root", "a root of its own")
        if kind == "blocks":
            return block_body(int(message["slot"]), mark, network=chain)
        return vote_body(int(message["source_epoch"]), int(message["target_epoch"]), mark, network=chain)

    def with_our_root(kind: str, recorded: dict[str, Any]) -> dict[str, Any]:
        if "signing_root" not in recorded:
            return recorded
        return {**recorded, "signing_root": "0x" + root_of(body(kind, recorded), "minimal").hex()}

    async def take_in(document: dict[str, Any]) -> str:
        data = [
            {
                "pubkey": ours[entry["pubkey"]],
                **{f"signed_{kind}": [with_our_root(kind, each) for each in entry[f"signed_{kind}"]] for kind in KINDS},
            }
            for entry in document["data"]
        ]
        file.write_text(json.dumps({**document, "data": data}))
        try:
            service.import_slashing(file)
        except AnsweredError as error:
            return error.reported_code
        return ""

    async def sign(kind: str, key: str, message: dict[str, Any]) -> bool:
        answer = line.sign(ours[key], body(kind, message))
        assert answer.status in {200, 412}, answer
        return answer.signature is not None

    return await run_case(case, take_in, sign)


@pytest.mark.parametrize("served", [True, False], ids=["through the server", "while none runs"])
def test_the_commands_of_the_console_do_the_same(vectors: Path, tmp_path: Path, *, served: bool) -> None:
    case = next(each for each in cases(vectors) if each["name"] == "multiple_validators_same_slot_blocks")
    document = case["steps"][0]["interchange"]
    file = tmp_path / "document.json"
    file.write_text(json.dumps(document))
    sections = {"network": {"name": "minimal", "genesis_validators_root": case["genesis_validators_root"]}}
    with running_signer(tmp_path, secrets=[1], sections=sections) as signer:
        if not served:
            signer.stop()
        told = signer.holdfast("slashing", "import", file)
        assert told.returncode == 0, told.stderr
        told = signer.holdfast("slashing", "export", "--to", tmp_path / "out.json")
        assert told.returncode == 0, told.stderr
    found = json.loads((tmp_path / "out.json").read_text())
    assert _arranged(found["data"]) == _arranged(document["data"])


def _arranged(data: list[dict[str, Any]]) -> list[tuple[str, list[int]]]:
    blocks: dict[str, set[int]] = {}
    for entry in data:
        blocks.setdefault(entry["pubkey"], set()).update(int(block["slot"]) for block in entry["signed_blocks"])
    return sorted((key, sorted(slots)) for key, slots in blocks.items())
