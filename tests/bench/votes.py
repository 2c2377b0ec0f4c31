"""Raw HTTP requests for votes that are all new and never slashable: epochs rise, a source is the epoch before.

A file of requests begins where the last one ended (`Votes.next_epoch`): runs follow one another on one server.
"""

import json
from collections.abc import Iterator, Sequence
from hashlib import sha256

MAINNET_ROOT = "0x4b363db94e286120d76eb905340fdd4e54bfe9f06bf33ff6cf5ad27f511bfe95"
FORK_INFO = {
    "fork": {"previous_version": "0x05000000", "current_version": "0x06000000", "epoch": "411392"},
    "genesis_validators_root": MAINNET_ROOT,
}
"""Mainnet under Fulu, as Lighthouse sends it."""

FIRST_EPOCH = 411_500
"""After Fulu's activation on mainnet, and years before the wall clock's far-future limit is reached."""

SLOTS_PER_EPOCH = 32


class Votes:
    """The votes of some validators on mainnet. Owned by one bench run; keeps the epoch of the next vote."""

    def __init__(self, public_keys: Sequence[str], *, port: int) -> None:
        self.public_keys = public_keys
        self.port = port
        self.next_epoch = FIRST_EPOCH

    def of_one_slot(self, count: int) -> Iterator[bytes]:
        """Rounds in which every validator votes alike, as all that vote in one slot do since Electra."""
        for _ in range(-(-count // len(self.public_keys))):
            epoch = self._take_epoch()
            body = self._body(epoch, head=_root("head", epoch))
            yield from (self._request(key, body) for key in self.public_keys)

    def all_different(self, count: int) -> Iterator[bytes]:
        """Rounds in which every validator votes for a head of its own."""
        for _ in range(-(-count // len(self.public_keys))):
            epoch = self._take_epoch()
            for number, key in enumerate(self.public_keys):
                yield self._request(key, self._body(epoch, head=_root("head", epoch, number)))

    def _take_epoch(self) -> int:
        epoch = self.next_epoch
        self.next_epoch += 1
        return epoch

    def _body(self, epoch: int, *, head: str) -> bytes:
        attestation = {
            "slot": str(epoch * SLOTS_PER_EPOCH + 7),
            "index": "0",
            "beacon_block_root": head,
            "source": {"epoch": str(epoch - 1), "root": _root("checkpoint", epoch - 1)},
            "target": {"epoch": str(epoch), "root": _root("checkpoint", epoch)},
        }
        body = {"type": "ATTESTATION", "fork_info": FORK_INFO, "attestation": attestation}
        return json.dumps(body, separators=(",", ":")).encode()

    def _request(self, public_key: str, body: bytes) -> bytes:
        return (
            f"POST /api/v1/eth2/sign/{public_key} HTTP/1.1\r\n"
            f"content-type: application/json\r\naccept: application/json\r\nhost: 127.0.0.1:{self.port}\r\n"
            f"content-length: {len(body)}\r\n\r\n"
        ).encode() + body


def _root(*parts: object) -> str:
    return "0x" + sha256(repr(parts).encode()).hexdigest()
