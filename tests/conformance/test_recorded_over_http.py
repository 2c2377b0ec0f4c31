"""Recorded and published sign requests, sent to running signers of their networks: the recorded signatures come back.

Some recordings hold votes or blocks that would be slashable together (examples of one key at one slot): what a signer
rightly refuses is asked of the next one, which has signed nothing yet.
"""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from duty_requests import line_to
from recorded_requests import (
    RecordedRequest,
    computed_requests,
    interop_key,
    lodestar_requests,
    web3signer_deposits,
    web3signer_examples,
)
from running import running_signer

from signer.eth2.forks import Fork
from signer.eth2.networks import Network

INTEROP_KEYS = [int.from_bytes(interop_key(number), "big") for number in range(64)]
SLASHABLE = {"DOUBLE_VOTE", "DOUBLE_PROPOSAL", "BELOW_FLOOR", "SURROUNDED_VOTE", "SURROUNDING_VOTE"}
MOST_SIGNERS = 12
"""How many signers one after another a recording may need, at most."""

SOURCES: dict[str, tuple[Callable[[Path], Iterator[RecordedRequest]], int]] = {
    "lodestar": (lodestar_requests, 318),
    "computed": (computed_requests, 158),
    "web3signer": (web3signer_examples, 23),
    "deposits": (web3signer_deposits, 4),
}


@pytest.mark.parametrize("source", SOURCES)
def test_every_recorded_request_is_answered_with_the_recorded_signature(
    vectors: Path, tmp_path: Path, source: str
) -> None:
    requests, count = SOURCES[source]
    answered = 0
    for number, of_network in enumerate(by_network(requests(vectors))):
        waiting = of_network
        for attempt in range(MOST_SIGNERS):
            refused = ask_a_new_signer(waiting, tmp_path / f"{number}-{attempt}")
            answered += len(waiting) - len(refused)
            waiting = refused
            if not waiting:
                break
        assert not waiting, [request.name for request in waiting]
    assert answered == count


def by_network(requests: Iterator[RecordedRequest]) -> list[list[RecordedRequest]]:
    """Requests that one signer can serve: of one network, and of one chain or of none."""
    groups: dict[tuple[str, str], list[RecordedRequest]] = {}
    without_chain: dict[str, list[RecordedRequest]] = {}
    for request in requests:
        chain, network = chain_of(request), repr(request.network)
        if chain is None:
            without_chain.setdefault(network, []).append(request)
        else:
            groups.setdefault((network, chain), []).append(request)
    for network, some in without_chain.items():
        group = next((known for known in groups if known[0] == network), (network, ""))
        groups.setdefault(group, []).extend(some)
    return list(groups.values())


def chain_of(request: RecordedRequest) -> str | None:
    known = request.request.get("fork_info")
    return None if known is None else known["genesis_validators_root"]


def ask_a_new_signer(requests: list[RecordedRequest], directory: Path) -> list[RecordedRequest]:
    """Those that were refused as slashable beside the others; all others must have their signature."""
    directory.mkdir()
    secrets = sorted({int.from_bytes(request.private_key, "big") for request in requests if request.private_key})
    sections = {"network": network_section(requests, directory), "clock": {"far_future_epochs": None}}
    refused = []
    with (
        running_signer(directory, secrets=secrets or INTEROP_KEYS, sections=sections) as signer,
        line_to(signer.port) as line,
    ):
        keys = ["0x" + request.public_key.hex() for request in requests]
        together = line.sign_all([(key, request.request) for key, request in zip(keys, requests, strict=True)])
        for request, key, signature in zip(requests, keys, together, strict=True):
            if signature.removeprefix("412 ") in SLASHABLE:
                refused.append(request)
                continue
            assert signature == request.signature, request.name
            # The single route says the same, and says it again.
            assert line.sign(key, request.request).signature == request.signature, request.name
    return refused


def network_section(requests: list[RecordedRequest], directory: Path) -> dict[str, Any]:
    network = requests[0].network
    chain = next((chain for request in requests if (chain := chain_of(request)) is not None), "0x" + "00" * 32)
    if network.name in {"mainnet", "sepolia", "holesky", "hoodi"}:
        return {"name": network.name}
    if network.name == "minimal":
        return {"name": "minimal", "genesis_validators_root": chain}
    file = directory / "network.yaml"
    file.write_text(consensus_config(network))
    return {"config_file": str(file), "genesis_validators_root": chain, "genesis_time": 0}


def consensus_config(network: Network) -> str:
    """The network as a consensus config.yaml, from what was read of the recording."""
    settings: dict[str, Any] = {"PRESET_BASE": network.preset.name, "SLOT_DURATION_MS": 6000}
    for fork, version, epoch in network.schedule:
        settings["GENESIS_FORK_VERSION" if fork is Fork.PHASE0 else f"{fork.name}_FORK_VERSION"] = "0x" + version.hex()
        settings[f"{fork.name}_FORK_EPOCH"] = epoch
    del settings["PHASE0_FORK_EPOCH"]
    return json.dumps(settings)
