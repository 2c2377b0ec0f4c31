"""Readers of block proposals: headers as they are, full phase0 and altair blocks reduced to their headers.

A header may come with proofs of what is in its body (Nimbus, for keys of the kind `verifying-web3signer`): those of the
fee recipient and of the graffiti are kept, as `eth2/block_proofs.py` has them; others are not looked at.
"""

from msgspec.structs import replace

from signer.api.wire_fields import duty_object, fixed_bytes, fork, list_in, object_in, root_in, uint64_in, unreadable
from signer.api.wire_json import JsonObject
from signer.api.wire_ssz import read_root
from signer.errors import MalformedRequestError
from signer.eth2.block_proofs import FEE_RECIPIENT_INDICES, GRAFFITI_INDICES, BodyProof
from signer.eth2.containers import block_body_type
from signer.eth2.duties import BlockDuty
from signer.eth2.forks import Fork
from signer.eth2.networks import Preset
from signer.units import ROOT_BYTES, Root, Slot

MAX_PROOFS = 64
"""Proofs that a header may come with: a body has fewer members worth one."""

MAX_PROOF_NODES = 64
"""Nodes of a branch: the bits of an index that fits 64."""


def read_block(request: JsonObject, preset: Preset) -> BlockDuty:
    """A BLOCK request, deprecated: a full phase0 block (Prysm still sends it)."""
    block, at = duty_object(request, "block")
    return _full_block(block, at, fork_=Fork.PHASE0, preset=preset)


def read_block_v2(request: JsonObject, preset: Preset) -> BlockDuty:
    """A BLOCK_V2 request: a full block before Bellatrix, a header from then on; a header is taken at any fork.

    No client sends both. Where both come they must say the same, or one of them is not what its sender believes.
    """
    wrapper, name = duty_object(request, "beacon_block")
    version = fork(wrapper.get("version"), name, "version")
    if version <= Fork.ALTAIR and wrapper.get("block") is not None:
        full = _full_block(object_in(wrapper, "block", name), f"{name}.block", fork_=version, preset=preset)
        if wrapper.get("block_header") is not None and _read_header(wrapper, name) != full:
            raise _disagreement(name)
        return full
    header = _read_later_block(wrapper, name, version)
    if request.get("proofs") is None:
        return header
    return replace(
        header,
        fee_recipient_proof=_read_proof(request, FEE_RECIPIENT_INDICES.get(version), header.body_root),
        graffiti_proof=_read_proof(request, GRAFFITI_INDICES.get(version), header.body_root),
    )


def _read_later_block(wrapper: JsonObject, name: str, version: Fork) -> BlockDuty:
    if wrapper.get("block_header") is None:
        wanted = "block_header" if version > Fork.ALTAIR else "block"
        raise unreadable(None, f"{name}.{wanted}", f"the {wanted} of a {version.name} block, an object {{...}}")
    header = _read_header(wrapper, name)
    if wrapper.get("block") is not None:
        block, at = object_in(wrapper, "block", name), f"{name}.block"
        # The bodies from Bellatrix on have no type here: their root is compared where it is given.
        body_root = root_in(block, "body_root", at) if "body_root" in block else header.body_root
        if _header(block, at, body_root=body_root) != header:
            raise _disagreement(name)
    return header


def _read_proof(request: JsonObject, index: int | None, body_root: Root) -> BodyProof | None:
    if index is None:
        return None
    for number, proof in enumerate(list_in(request, "proofs", "", limit=MAX_PROOFS)):
        at = f"proofs[{number}]"
        if type(proof) is not dict:
            raise unreadable(proof, at, "an object {...}")
        if uint64_in(proof, "index", at) == index:
            nodes = list_in(proof, "proof", at, limit=MAX_PROOF_NODES)
            branch = tuple(fixed_bytes(node, at, f"proof[{n}]", length=ROOT_BYTES) for n, node in enumerate(nodes))
            return BodyProof(index, branch, body_root)
    return None


def _read_header(wrapper: JsonObject, name: str) -> BlockDuty:
    header, at = object_in(wrapper, "block_header", name), f"{name}.block_header"
    return _header(header, at, body_root=root_in(header, "body_root", at))


def _disagreement(name: str) -> MalformedRequestError:
    return MalformedRequestError(
        f"{name}.block and {name}.block_header are of two different blocks: send one of them",
        path=f"{name}.block_header",
    )


def _full_block(block: JsonObject, at: str, *, fork_: Fork, preset: Preset) -> BlockDuty:
    body = object_in(block, "body", at)
    # A body's fork is seen by the fields it gained: signing less than what was sent would sign something else.
    foreign = "sync_aggregate" if fork_ is Fork.PHASE0 else "execution_payload"
    if body.get(foreign) is not None:
        raise MalformedRequestError(
            f"{at}.body has {foreign}: it is no {fork_.name} block; send BLOCK_V2 with its version",
            path=f"{at}.body.{foreign}",
        )
    body_root = read_root(body, block_body_type(fork_, preset), f"{at}.body")
    return _header(block, at, body_root=body_root)


def _header(block: JsonObject, at: str, *, body_root: Root) -> BlockDuty:
    return BlockDuty(
        slot=Slot(uint64_in(block, "slot", at)),
        proposer_index=uint64_in(block, "proposer_index", at),
        parent_root=root_in(block, "parent_root", at),
        state_root=root_in(block, "state_root", at),
        body_root=body_root,
    )
