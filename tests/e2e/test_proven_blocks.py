"""Nimbus' verifying-web3signer mode against a running signer: what a header's proofs show decides whether it is signed.

The bodies are vectors of the consensus specification, decoded by a library, and the proofs are read out of its tree.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from duty_requests import NO_GUARD, Line, block_body
from e2e.worker_processes import line_to_each
from policy.policy_packs import rules_pack
from policy_signers import policy_signer
from remerkleable.basic import uint64, uint256
from remerkleable.byte_arrays import ByteList, Bytes32, Bytes48, Bytes96, ByteVector
from remerkleable.complex import Container, List
from running import RunningSigner, interop_secret, merged

from signer.crypto import bls
from signer.crypto.bls import SecretKey
from signer.eth2.containers import block_body_type
from signer.eth2.forks import Fork
from signer.eth2.networks import PRESETS
from signer.policy.bindings import ToKey

FEES = {Fork.BELLATRIX: 401, Fork.DENEB: 801}
"""Generalized indices of the fee recipient: consensus-specs, ssz/merkle-proofs.md, by hand."""

GRAFFITI = 18
SLOTS = count(1)
BLS = bls.load()
OURS, THEIRS, UNHEARD_OF = ("0x" + byte * 20 for byte in ("ab", "cd", "ef"))
HELLO = "hello from us"

PINNED = rules_pack(
    "pinned",
    text=f"""version: 1
otherwise: allow
require:
  - name: paid-to-us
    when: {{types: [BLOCK_V2]}}
    fee_recipients: ["{OURS}"]
    graffiti: ["{HELLO}"]
""",
)
KNOWN = rules_pack(
    "known",
    text=f"""version: 1
otherwise: allow
require:
  - name: paid-to-a-pool-we-know
    when: {{types: [BLOCK_V2]}}
    fee_recipients: ["{OURS}", "{THEIRS}"]
""",
)
WHERE_PROVEN = rules_pack(
    "where-proven",
    text=f"""version: 1
otherwise: allow
require:
  - {{name: to-us, when: {{types: [BLOCK_V2]}}, fee_recipients: ["{OURS}"], unproven_blocks: allowed}}
  - {{name: to-any, when: {{types: [BLOCK_V2]}}, fee_recipients: ["{OURS}", "{THEIRS}"], unproven_blocks: allowed}}
""",
)
"""The second rule is why proofs are tried for an address that the first one does not list."""


def container(name: str, **fields: Any) -> Any:
    return type(Container)(name, (Container,), {"__annotations__": fields})


@lru_cache
def body_type(fork: Fork) -> Any:
    """BeaconBlockBody of Bellatrix or Deneb (consensus-specs, their beacon-chain.md)."""
    payload: dict[str, Any] = {
        "parent_hash": Bytes32,
        "fee_recipient": ByteVector[20],
        "state_root": Bytes32,
        "receipts_root": Bytes32,
        "logs_bloom": ByteVector[256],
        "prev_randao": Bytes32,
        "block_number": uint64,
        "gas_limit": uint64,
        "gas_used": uint64,
        "timestamp": uint64,
        "extra_data": ByteList[32],
        "base_fee_per_gas": uint256,
        "block_hash": Bytes32,
        "transactions": List[ByteList[2**30], 2**20],
    }
    later: dict[str, Any] = {}
    if fork is Fork.DENEB:
        withdrawal = container(
            "Withdrawal", index=uint64, validator_index=uint64, address=ByteVector[20], amount=uint64
        )
        payload |= {"withdrawals": List[withdrawal, 16], "blob_gas_used": uint64, "excess_blob_gas": uint64}
        change = container(
            "BLSToExecutionChange", validator_index=uint64, from_bls_pubkey=Bytes48, to_execution_address=ByteVector[20]
        )
        signed_change = container("SignedBLSToExecutionChange", message=change, signature=Bytes96)
        later = {"bls_to_execution_changes": List[signed_change, 16], "blob_kzg_commitments": List[Bytes48, 4096]}
    altair = block_body_type(Fork.ALTAIR, PRESETS["mainnet"]).fields()
    return container("BeaconBlockBody", **altair, execution_payload=container("ExecutionPayload", **payload), **later)


@dataclass(frozen=True, slots=True)
class Body:
    """A body and its tree."""

    fork: Fork
    content: Any

    @property
    def root(self) -> str:
        return "0x" + bytes(self.content.hash_tree_root()).hex()

    def proof(self, index: int) -> dict[str, Any]:
        """The sisters from the leaf up, as Nimbus sends them: the tree's node beside each step."""
        tree, branch, at = self.content.get_backing(), [], index
        while at > 1:
            branch.append("0x" + bytes(tree.getter(at ^ 1).merkle_root()).hex())
            at //= 2
        return {"index": str(index), "proof": branch}

    @property
    def proofs(self) -> list[dict[str, Any]]:
        return [self.proof(FEES[self.fork]), self.proof(GRAFFITI)]

    def request(self, slot: int, proofs: list[dict[str, Any]] | None) -> dict[str, Any]:
        """The header of this body with these proofs; None: as all other clients send it."""
        request = block_body(slot)
        request["beacon_block"]["version"] = self.fork.name
        request["beacon_block"]["block_header"]["body_root"] = self.root
        return request if proofs is None else {**request, "proofs": proofs}


@pytest.fixture(scope="module", params=[Fork.BELLATRIX, Fork.DENEB], ids=lambda fork: fork.name.lower())
def fork(request: pytest.FixtureRequest) -> Fork:
    return request.param


def body(vectors: Path, fork: Fork, *, fee_recipient: str = OURS, graffiti: str = HELLO) -> Body:
    """The specification's random body, which holds these. Its root is compared before anything is changed."""
    file = vectors / "eth-consensus" / "ssz_static" / f"mainnet-{fork.name.lower()}.json"
    [case, *_] = [each for each in json.loads(file.read_text()) if each["type"] == "BeaconBlockBody"]
    content = body_type(fork).decode_bytes(bytes.fromhex(case["serialized"][2:]))
    assert Body(fork, content).root == case["root"]
    content.execution_payload.fee_recipient = bytes.fromhex(fee_recipient[2:])
    content.graffiti = graffiti.encode().ljust(32, b"\0")
    return Body(fork, content)


def key_of(secret: int) -> str:
    return "0x" + BLS.public_key(SecretKey.from_bytes(secret.to_bytes(32, "big"))).hex()


@pytest.fixture(scope="module")
def signer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSigner]:
    """Two workers. The first key's rules demand fee recipient and graffiti, the second one's take what is not shown."""
    secrets = [interop_secret(0), interop_secret(1)]
    pinned, shown = (ToKey(key_of(secret)) for secret in secrets)
    bindings = [("pinned", pinned), ("known", pinned), ("where-proven", shown)]
    sections = merged({"server": {"workers": 2}}, NO_GUARD)
    directory = tmp_path_factory.mktemp("proven")
    packs = [PINNED, KNOWN, WHERE_PROVEN]
    with policy_signer(directory, packs, bindings, secrets=secrets, sections=sections) as running:
        yield running


@pytest.fixture(scope="module")
def lines(signer: RunningSigner) -> Iterator[list[Line]]:
    with line_to_each(signer) as found:
        yield list(found.values())


@pytest.fixture
def slot() -> int:
    """Another one for each test: what a test has signed bars no other."""
    return next(SLOTS)


def verdicts(lines: list[Line], key: str, request: dict[str, Any]) -> set[str]:
    """What each worker answers."""
    return {line.sign(key, request).verdict for line in lines}


PINNED_KEY, SHOWN_KEY = (key_of(interop_secret(number)) for number in range(2))


def test_the_leaves_of_the_specifications_body_are_at_these_indices(vectors: Path, fork: Fork) -> None:
    tree = body(vectors, fork, fee_recipient=THEIRS, graffiti="somebody").content.get_backing()
    assert bytes(tree.getter(FEES[fork]).merkle_root()) == bytes.fromhex(THEIRS[2:]).ljust(32, b"\0")
    assert bytes(tree.getter(GRAFFITI).merkle_root()) == b"somebody".ljust(32, b"\0")


def test_a_block_is_signed_once_its_proofs_show_what_is_demanded(
    vectors: Path, lines: list[Line], fork: Fork, slot: int
) -> None:
    ours = body(vectors, fork)
    # Nothing that was denied is on record: the corrected block of the same slot is signed.
    theirs = body(vectors, fork, fee_recipient=THEIRS)
    for _ in range(3):  # Nimbus asks three times where it is answered 412
        assert verdicts(lines, PINNED_KEY, theirs.request(slot, theirs.proofs)) == {"412 FEE_RECIPIENT_NOT_LISTED"}
    assert verdicts(lines, PINNED_KEY, ours.request(slot, None)) == {"412 NOT_PROVEN"}
    assert verdicts(lines, PINNED_KEY, ours.request(slot, ours.proofs)) == {"signed"}
    # It is the header that is signed: the order of the proofs, and others beside them, change nothing.
    more = [ours.proof(16), *reversed(ours.proofs)]
    assert verdicts(lines, PINNED_KEY, ours.request(slot, more)) == {"signed"}
    second = body(vectors, fork, graffiti=HELLO + ", again")
    assert verdicts(lines, SHOWN_KEY, second.request(slot, second.proofs)) == {"signed"}


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ({"fee_recipient": THEIRS}, "412 FEE_RECIPIENT_NOT_LISTED"),
        ({"fee_recipient": UNHEARD_OF}, "412 NOT_PROVEN"),
        ({"graffiti": "somebody else"}, "412 NOT_PROVEN"),
        ({"graffiti": HELLO + "!"}, "412 NOT_PROVEN"),
        ({"graffiti": ""}, "412 NOT_PROVEN"),
    ],
)
def test_a_good_proof_of_another_value_is_denied(
    vectors: Path, lines: list[Line], fork: Fork, slot: int, content: dict[str, str], expected: str
) -> None:
    other = body(vectors, fork, **content)
    assert verdicts(lines, PINNED_KEY, other.request(slot, other.proofs)) == {expected}


def tampered(branch: list[str], node: int) -> list[str]:
    """One bit of one node is another one."""
    wrong = bytearray.fromhex(branch[node][2:])
    wrong[node % 32] ^= 1 << node % 8
    return [*branch[:node], "0x" + wrong.hex(), *branch[node + 1 :]]


def test_a_proof_with_one_bit_changed_shows_nothing(vectors: Path, lines: list[Line], fork: Fork, slot: int) -> None:
    ours = body(vectors, fork)
    for place, proof in enumerate(ours.proofs):
        for node in range(len(proof["proof"])):
            proofs = ours.proofs
            proofs[place]["proof"] = tampered(proof["proof"], node)
            assert verdicts(lines, PINNED_KEY, ours.request(slot, proofs)) == {"412 NOT_PROVEN"}, (place, node)


def test_what_does_not_belong_to_this_header_shows_nothing(
    vectors: Path, lines: list[Line], fork: Fork, slot: int
) -> None:
    ours, theirs = body(vectors, fork), body(vectors, fork, fee_recipient=THEIRS)
    fees, graffiti = ours.proofs
    for proofs in (
        [],
        [graffiti],
        [fees],
        [{**fees, "proof": fees["proof"][:-1]}, graffiti],
        [{**fees, "proof": [*fees["proof"], "0x" + "00" * 32]}, graffiti],
        [{**fees, "proof": []}, graffiti],
        [fees, {**graffiti, "proof": graffiti["proof"][::-1]}],
        # Each under the other's index, and each under the index of another fork.
        [{**fees, "index": "18"}, {**graffiti, "index": fees["index"]}],
        [{**fees, "index": "801" if fees["index"] == "401" else "401"}, graffiti],
    ):
        assert verdicts(lines, PINNED_KEY, ours.request(slot, proofs)) == {"412 NOT_PROVEN"}, proofs
    # Proofs of another body, which pays us; and of ours, for a header that pays them: a branch does not hold its leaf.
    other = body(vectors, fork, graffiti="another")
    assert verdicts(lines, PINNED_KEY, ours.request(slot, other.proofs)) == {"412 NOT_PROVEN"}
    assert verdicts(lines, PINNED_KEY, theirs.request(slot, ours.proofs)) == {"412 FEE_RECIPIENT_NOT_LISTED"}
    # A header that says another fork: there the fee recipient has another place, or none.
    for version in ("GLOAS", "BELLATRIX" if fork is Fork.DENEB else "DENEB"):
        request = ours.request(slot, ours.proofs)
        request["beacon_block"]["version"] = version
        assert verdicts(lines, PINNED_KEY, request) == {"412 NOT_PROVEN"}, version


def test_what_is_no_proof_at_all_is_refused_before_anything_is_decided(
    vectors: Path, lines: list[Line], fork: Fork, slot: int
) -> None:
    ours = body(vectors, fork)
    fees, graffiti = ours.proofs
    for wrong in ({"proof": fees["proof"]}, {**fees, "proof": ["0x12"]}, {**fees, "index": "-1"}, "0x00"):
        assert verdicts(lines, PINNED_KEY, ours.request(slot, [wrong, graffiti])) == {"400 MALFORMED_REQUEST"}, wrong


def test_rules_that_take_unproven_blocks_judge_what_is_proven_all_the_same(
    vectors: Path, lines: list[Line], fork: Fork, slot: int
) -> None:
    ours, theirs = body(vectors, fork), body(vectors, fork, fee_recipient=THEIRS)
    assert verdicts(lines, SHOWN_KEY, theirs.request(slot, theirs.proofs)) == {"412 FEE_RECIPIENT_NOT_LISTED"}
    assert verdicts(lines, SHOWN_KEY, ours.request(slot, None)) == {"signed"}


def test_the_audit_log_names_the_rule_and_the_problem_the_remedy(
    vectors: Path, signer: RunningSigner, lines: list[Line], fork: Fork, slot: int
) -> None:
    ours, theirs = body(vectors, fork), body(vectors, fork, fee_recipient=THEIRS)
    unproven = json.loads(lines[0].sign(PINNED_KEY, ours.request(slot, None)).body)
    assert (unproven["policy"], unproven["rule"]) == ("known", "paid-to-a-pool-we-know")
    assert "verifying web3signer mode" in unproven["detail"]
    unlisted = json.loads(lines[0].sign(PINNED_KEY, theirs.request(slot, theirs.proofs)).body)
    assert (unlisted["policy"], unlisted["rule"], unlisted["fee_recipient"]) == ("pinned", "paid-to-us", THEIRS)
    said = signer.holdfast("audit", "show", "--key", PINNED_KEY, "--last", "2", "--json")
    entries = json.loads(said.stdout)["entries"]
    assert [(each["outcome"], each["code"]) for each in entries] == [
        ("refused", "NOT_PROVEN"),
        ("refused", "FEE_RECIPIENT_NOT_LISTED"),
    ]
