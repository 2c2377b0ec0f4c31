"""Reads the recorded and published sign requests of `HOLDFAST_VECTORS` into one shape."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from signer.crypto.bls import CURVE_ORDER
from signer.eth2.builtin_networks import find_network
from signer.eth2.network_config import network_from_config
from signer.eth2.networks import Network


@dataclass(frozen=True)
class RecordedRequest:
    """One request with the root and the signature it must get."""

    name: str
    request: dict[str, Any]
    network: Network
    signing_root: str
    signature: str
    private_key: bytes | None
    """None where only the public key is known: see `interop_keys`."""

    public_key: bytes


def lodestar_requests(vectors: Path) -> Iterator[RecordedRequest]:
    for path in sorted((vectors / "lodestar-requests").rglob("*.json")):
        recording = json.loads(path.read_text())
        network = _devnet(recording)
        for number, vector in enumerate(recording["vectors"]):
            yield RecordedRequest(
                name=f"{path.stem}[{number}]",
                request=vector["request"],
                network=network,
                signing_root=vector["signing_root"],
                signature=vector["signature"],
                private_key=None,
                public_key=bytes.fromhex(vector["pubkey"][2:]),
            )


def computed_requests(vectors: Path) -> Iterator[RecordedRequest]:
    for vector in json.loads((vectors / "eth-consensus" / "signing" / "requests_computed.json").read_text()):
        network = find_network(vector["network"])
        assert network is not None
        yield RecordedRequest(
            name=vector["name"],
            request=vector["request"],
            network=network,
            signing_root=vector["signing_root"],
            signature=vector["signature"],
            private_key=bytes.fromhex(vector["privkey"][2:]),
            public_key=bytes.fromhex(vector["pubkey"][2:]),
        )


def web3signer_examples(vectors: Path) -> Iterator[RecordedRequest]:
    """The examples of Web3Signer's own document that hold; two upstream errors are flagged there and left out."""
    minimal = find_network("minimal")
    assert minimal is not None
    for vector in json.loads((vectors / "web3signer-examples" / "eth2_sign_examples.json").read_text()):
        if vector["usable"]:
            yield RecordedRequest(
                name=vector["name"],
                request=vector["request"],
                network=minimal,
                signing_root=vector["expected_signing_root"],
                signature=vector["expected_signature"],
                private_key=bytes.fromhex(vector["private_key"][2:]),
                public_key=bytes.fromhex(vector["public_key"][2:]),
            )


def web3signer_deposits(vectors: Path) -> Iterator[RecordedRequest]:
    mainnet = find_network("mainnet")
    assert mainnet is not None
    for vector in json.loads((vectors / "web3signer-acceptance" / "deposit_requests.json").read_text()):
        yield RecordedRequest(
            name=f"deposit on {vector['network']}",
            request=vector["request"],
            network=mainnet,
            signing_root=vector["signing_root"],
            signature=vector["expected_signature"],
            private_key=bytes.fromhex(vector["privkey"][2:]),
            public_key=bytes.fromhex(vector["request"]["deposit"]["pubkey"][2:]),
        )


def interop_key(index: int) -> bytes:
    """The private key of an interop validator (eth2.0-pm, interop/mocked_start)."""
    digest = hashlib.sha256(index.to_bytes(32, "little")).digest()
    return (int.from_bytes(digest, "little") % CURVE_ORDER).to_bytes(32, "big")


def _devnet(recording: dict[str, Any]) -> Network:
    settings = {"PRESET_BASE": recording["preset"], "SLOT_DURATION_MS": "6000"} | recording["network"]
    text = "\n".join(f"{key}: {value}" for key, value in settings.items())
    return network_from_config(text, genesis_validators_root=None, genesis_time=None)
