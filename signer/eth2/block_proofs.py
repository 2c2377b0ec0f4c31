"""What a header's body root proves of the body: a field of it, by the branch that a client sends with the header.

A proof is a generalized index of the body and the sister nodes from that leaf up (ssz/merkle-proofs.md). Nimbus sends
them for keys of the kind `verifying-web3signer`, without the leaf: whoever has an expectation knows it.
"""

from collections.abc import Mapping

from msgspec import Struct

from signer.eth2.forks import Fork
from signer.eth2.ssz import bytes_leaf, hash_pair
from signer.units import Root

FEE_RECIPIENT_INDICES: Mapping[Fork, int] = {
    Fork.BELLATRIX: 401,
    Fork.CAPELLA: 401,
    Fork.DENEB: 801,
    Fork.ELECTRA: 801,
    Fork.FULU: 801,
}
"""The generalized index of `execution_payload.fee_recipient` in BeaconBlockBody; of a blinded block's payload header it
is the same. The payload is the tenth of up to 16 members, the fee recipient its second of 16 (of 32 since Deneb).
From Gloas on the body holds no payload.
"""


GRAFFITI_INDICES: Mapping[Fork, int] = dict.fromkeys(FEE_RECIPIENT_INDICES, 18)
"""The generalized index of `graffiti` in BeaconBlockBody: the third of up to 16 members, in each of these forks."""


class BodyProof(Struct, frozen=True):
    """The branch of one field of a block's body, as long as its index says."""

    index: int
    branch: tuple[bytes, ...]
    """Sister nodes, the leaf's own first."""

    body_root: Root

    def fits(self, value: bytes) -> bool:
        """True if the body holds this value there (consensus-specs, `is_valid_merkle_branch`). At most 32 bytes."""
        node, index = bytes_leaf(value), self.index
        for sister in self.branch:
            node = hash_pair(sister, node) if index % 2 else hash_pair(node, sister)
            index //= 2
        return index == 1 and node == self.body_root
