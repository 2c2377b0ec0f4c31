"""One duty of every type at every fork that has it, as the consensus specification shapes it, with the signing
root that the specification computes (see `spec_roots.py`)."""

import json
import subprocess
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ORACLE_PYTHON = HERE.parent.parent / ".venv-consensus-specs" / "bin" / "python"

FORKS = ("PHASE0", "ALTAIR", "BELLATRIX", "CAPELLA", "DENEB", "ELECTRA", "FULU", "GLOAS")
FORK_EPOCH = {fork: 10 * number for number, fork in enumerate(FORKS)}
"""The test network's schedule: a fork each ten epochs."""

FORK_VERSION = {fork: bytes([number, 0, 0, 0x99]) for number, fork in enumerate(FORKS)}
SLOTS_PER_EPOCH = 32
GENESIS_VALIDATORS_ROOT = sha256(b"genesis of the client tests").digest()
ZERO_ROOT = bytes(32)


def consensus_config() -> str:
    """The network as the `config.yaml` that every client takes."""
    lines = ["PRESET_BASE: mainnet", "CONFIG_NAME: clients", "SLOT_DURATION_MS: 12000"]
    lines.append(f"GENESIS_FORK_VERSION: 0x{FORK_VERSION['PHASE0'].hex()}")
    for fork in FORKS[1:]:
        lines.append(f"{fork}_FORK_VERSION: 0x{FORK_VERSION[fork].hex()}")
        lines.append(f"{fork}_FORK_EPOCH: {FORK_EPOCH[fork]}")
    return "\n".join(lines) + "\n"


@dataclass(frozen=True, slots=True)
class Duty:
    """What a client wants signed: `object` is bare, in the specification's spelling."""

    type: str
    fork: str
    object: Any
    epoch: int
    public_key: str
    signing_root: bytes = b""

    @property
    def fork_info(self) -> dict[str, Any]:
        """The fork of the duty's epoch as most clients send it."""
        return fork_info(self.fork, FORK_EPOCH[self.fork])


def fork_info(fork: str, epoch: int) -> dict[str, Any]:
    """The `fork_info` member for a fork, with this first epoch."""
    previous = FORKS[max(0, FORKS.index(fork) - 1)]
    return {
        "fork": {
            "previous_version": "0x" + FORK_VERSION[previous].hex(),
            "current_version": "0x" + FORK_VERSION[fork].hex(),
            "epoch": str(epoch),
        },
        "genesis_validators_root": "0x" + GENESIS_VALIDATORS_ROOT.hex(),
    }


def root(*parts: object) -> str:
    """32 bytes that differ for different parts, in hex."""
    return "0x" + sha256(repr(parts).encode()).hexdigest()


def since(fork: str) -> tuple[str, ...]:
    """The forks from this one on."""
    return FORKS[FORKS.index(fork) :]


_BROUGHT_BY = {
    "BLOCK_V2": "PHASE0",
    "ATTESTATION": "PHASE0",
    "AGGREGATE_AND_PROOF": "PHASE0",
    "AGGREGATION_SLOT": "PHASE0",
    "RANDAO_REVEAL": "PHASE0",
    "VOLUNTARY_EXIT": "PHASE0",
    "SYNC_COMMITTEE_MESSAGE": "ALTAIR",
    "SYNC_COMMITTEE_SELECTION_PROOF": "ALTAIR",
    "SYNC_COMMITTEE_CONTRIBUTION_AND_PROOF": "ALTAIR",
    "VALIDATOR_REGISTRATION": "BELLATRIX",
}


def common_types(*, first: str = FORKS[0], last: str = FORKS[-1]) -> dict[str, tuple[str, ...]]:
    """The types that every client sends, each from the fork that brought it, within the forks that a client knows."""
    known = FORKS[FORKS.index(first) : FORKS.index(last) + 1]
    return {type_: tuple(fork for fork in since(brought) if fork in known) for type_, brought in _BROUGHT_BY.items()}


EMPTY_SIGNATURE = "0xc0" + "00" * 95
"""The compressed point at infinity: a signature's place in an object nobody verifies here."""


def _attestation(slot: int, fork: str) -> dict[str, Any]:
    epoch = slot // SLOTS_PER_EPOCH
    return {
        "slot": str(slot),
        "index": "0" if fork in since("ELECTRA") else "3",
        "beacon_block_root": root("head", slot),
        "source": {"epoch": str(epoch - 1), "root": root("source", epoch)},
        "target": {"epoch": str(epoch), "root": root("target", epoch)},
    }


def _aggregate(slot: int, fork: str) -> dict[str, Any]:
    aggregate = {"aggregation_bits": "0xff01", "data": _attestation(slot, fork), "signature": EMPTY_SIGNATURE}
    if fork in since("ELECTRA"):
        aggregate["committee_bits"] = "0x0100000000000000"
    return {"aggregator_index": "7", "aggregate": aggregate, "selection_proof": EMPTY_SIGNATURE}


def _header(slot: int) -> dict[str, Any]:
    names = ("parent_root", "state_root", "body_root")
    return {"slot": str(slot), "proposer_index": "7", **{name: root(name, slot) for name in names}}


def _full_block(slot: int, fork: str) -> dict[str, Any]:
    body: dict[str, Any] = {
        "randao_reveal": EMPTY_SIGNATURE,
        "eth1_data": {"deposit_root": root("deposits"), "deposit_count": "9", "block_hash": root("eth1")},
        "graffiti": root("graffiti"),
        "proposer_slashings": [],
        "attester_slashings": [],
        "attestations": [
            {"aggregation_bits": "0xff01", "data": _attestation(slot - 1, fork), "signature": EMPTY_SIGNATURE}
        ],
        "deposits": [],
        "voluntary_exits": [{"message": {"epoch": "1", "validator_index": "2"}, "signature": EMPTY_SIGNATURE}],
    }
    if fork == "ALTAIR":
        body["sync_aggregate"] = {
            "sync_committee_bits": "0x" + "01" * 64,
            "sync_committee_signature": EMPTY_SIGNATURE,
        }
    header = _header(slot)
    del header["body_root"]
    return {**header, "body": body}


def _contribution(slot: int) -> dict[str, Any]:
    contribution = {
        "slot": str(slot),
        "beacon_block_root": root("head", slot),
        "subcommittee_index": "2",
        "aggregation_bits": "0x" + "03" * 16,
        "signature": EMPTY_SIGNATURE,
    }
    return {"aggregator_index": "7", "contribution": contribution, "selection_proof": EMPTY_SIGNATURE}


def _envelope(slot: int) -> dict[str, Any]:
    payload = {
        "parent_hash": root("parent", slot),
        "fee_recipient": "0x" + "fe" * 20,
        "state_root": root("state", slot),
        "receipts_root": root("receipts", slot),
        "logs_bloom": "0x" + "00" * 256,
        "prev_randao": root("randao", slot),
        "block_number": str(slot),
        "gas_limit": "60000000",
        "gas_used": "21000",
        "timestamp": str(slot * 12),
        "extra_data": "0x686f6c6466617374",
        "base_fee_per_gas": "1000000007",
        "block_hash": root("block", slot),
        "transactions": ["0x02f8", "0x" + "ab" * 300],
        "withdrawals": [{"index": "1", "validator_index": "2", "address": "0x" + "0a" * 20, "amount": "3"}],
        "blob_gas_used": "0",
        "excess_blob_gas": "0",
        "block_access_list": "0x" + "cd" * 64,
        "slot_number": str(slot),
    }
    requests = {kind: [] for kind in ("deposits", "withdrawals", "consolidations", "builder_deposits", "builder_exits")}
    return {
        "payload": payload,
        "execution_requests": requests,
        "builder_index": "5",
        "beacon_block_root": root("head", slot),
        "parent_beacon_block_root": root("head", slot - 1),
    }


def _objects(fork: str, public_key: str) -> dict[str, tuple[str, str, Any]]:
    """For each type: the specification's container, the domain type, the object."""
    slot = duty_slot(fork)
    epoch = slot // SLOTS_PER_EPOCH
    block = (
        ("BeaconBlock", "00000000", _full_block(slot, fork))
        if fork in {"PHASE0", "ALTAIR"}
        else ("BeaconBlockHeader", "00000000", _header(slot))
    )
    objects = {
        "BLOCK_V2": block,
        "ATTESTATION": ("AttestationData", "01000000", _attestation(slot, fork)),
        "AGGREGATE_AND_PROOF": ("AggregateAndProof", "06000000", _aggregate(slot, fork)),
        "AGGREGATION_SLOT": ("Slot", "05000000", str(slot)),
        "RANDAO_REVEAL": ("Epoch", "02000000", str(epoch)),
        "VOLUNTARY_EXIT": ("VoluntaryExit", "04000000", {"epoch": str(epoch), "validator_index": "7"}),
        "DEPOSIT": ("DepositMessage", "03000000", {
            "pubkey": public_key, "withdrawal_credentials": "0x01" + "00" * 11 + "ad" * 20, "amount": "32000000000",
        }),
    }  # fmt: skip
    if fork in since("ALTAIR"):
        selection = {"slot": str(slot), "subcommittee_index": "2"}
        objects |= {
            "SYNC_COMMITTEE_MESSAGE": ("Root", "07000000", root("head", slot)),
            "SYNC_COMMITTEE_SELECTION_PROOF": ("SyncAggregatorSelectionData", "08000000", selection),
            "SYNC_COMMITTEE_CONTRIBUTION_AND_PROOF": ("ContributionAndProof", "09000000", _contribution(slot)),
        }
    if fork in since("BELLATRIX"):
        objects["VALIDATOR_REGISTRATION"] = ("ValidatorRegistrationV1", "00000001", {
            "fee_recipient": "0x" + "fe" * 20, "gas_limit": "60000000", "timestamp": "1750000000", "pubkey": public_key,
        })  # fmt: skip
    if fork in since("CAPELLA"):
        objects["BLS_TO_EXECUTION_CHANGE"] = ("BLSToExecutionChange", "0a000000", {
            "validator_index": "7", "from_bls_pubkey": public_key, "to_execution_address": "0x" + "b5" * 20,
        })  # fmt: skip
    if fork == "GLOAS":
        head = root("head", slot)
        objects |= {
            "EXECUTION_PAYLOAD_ENVELOPE": ("ExecutionPayloadEnvelope", "0b000000", _envelope(slot)),
            "PAYLOAD_ATTESTATION_MESSAGE": ("PayloadAttestationData", "0c000000", {
                "beacon_block_root": head, "slot": str(slot), "payload_present": True, "blob_data_available": False,
            }),
            "PROPOSER_PREFERENCES": ("ProposerPreferences", "0d000000", {
                "dependent_root": head, "proposal_slot": str(slot), "validator_index": "7",
                "fee_recipient": "0x" + "fe" * 20, "target_gas_limit": "60000000",
            }),
            "BUILDER_REQUEST_AUTH": ("BuilderRequestAuth", "0b000001", {
                "data": "0x68747470733a2f2f6275696c646572", "slot": str(slot),
            }),
        }  # fmt: skip
    return objects


def duty_slot(fork: str) -> int:
    """The slot of this fork's duties: in its third epoch."""
    return (FORK_EPOCH[fork] + 2) * SLOTS_PER_EPOCH + 5


WITHOUT_NETWORK = {"VALIDATOR_REGISTRATION", "BUILDER_REQUEST_AUTH", "DEPOSIT"}
"""Types signed under the genesis fork version and no genesis root (builder-specs; phase0 for deposits)."""


def _domain_version(duty_type: str, fork: str) -> bytes:
    if duty_type in WITHOUT_NETWORK or duty_type == "BLS_TO_EXECUTION_CHANGE":
        return FORK_VERSION["PHASE0"]
    if duty_type == "VOLUNTARY_EXIT" and fork in since("DENEB"):
        return FORK_VERSION["CAPELLA"]  # EIP-7044
    return FORK_VERSION[fork]


@cache
def duties(public_key: str) -> dict[tuple[str, str], Duty]:
    """Every duty for one key by (type, fork), with its root. Raises FileNotFoundError without the oracle."""
    asked, found = [], {}
    for fork in FORKS:
        for duty_type, (container, domain, value) in _objects(fork, public_key).items():
            network = ZERO_ROOT if duty_type in WITHOUT_NETWORK else GENESIS_VALIDATORS_ROOT
            asked.append(
                {
                    "fork": fork,
                    "container": container,
                    "object": value,
                    "domain": domain,
                    "version": _domain_version(duty_type, fork).hex(),
                    "genesis_validators_root": network.hex(),
                }
            )
            found[duty_type, fork] = Duty(duty_type, fork, value, duty_slot(fork) // SLOTS_PER_EPOCH, public_key)
    answer = subprocess.run(
        [ORACLE_PYTHON, HERE / "spec_roots.py"], input=json.dumps(asked), capture_output=True, text=True, check=True
    )
    roots = [bytes.fromhex(each) for each in json.loads(answer.stdout)]
    return {
        key: Duty(duty.type, duty.fork, duty.object, duty.epoch, duty.public_key, signing_root)
        for (key, duty), signing_root in zip(found.items(), roots, strict=True)
    }
