"""A request that does no harm and shows that the signer signs: the RANDAO reveal of this epoch, as a curl line."""

import json
import shlex
from pathlib import Path

from signer.eth2.networks import Network
from signer.units import Epoch, PublicKey


def randao_request(network: Network, *, seconds: float) -> str | None:
    """The body of the request at a wall-clock time; None where the network's genesis is not known beforehand."""
    epoch = network.epoch_at(seconds)
    if epoch is None or network.genesis_validators_root is None:
        return None
    started = max(start for _, _, start in network.schedule if start <= epoch)
    body = {
        "type": "RANDAO_REVEAL",
        "fork_info": {
            "fork": {
                "previous_version": "0x" + network.version_at(Epoch(max(0, started - 1))).hex(),
                "current_version": "0x" + network.version_at(epoch).hex(),
                "epoch": str(started),
            },
            "genesis_validators_root": "0x" + network.genesis_validators_root.hex(),
        },
        "randao_reveal": {"epoch": str(epoch)},
    }
    return json.dumps(body, separators=(",", ":"))


def curl_line(*, url: str, public_key: PublicKey, body: str, token_file: Path | None) -> str:
    """The command that sends it; `token_file` where the signer asks for a token."""
    words = ["curl", "-sS", "-X", "POST", f"{url}/api/v1/eth2/sign/0x{public_key.hex()}"]
    words += ["-H", "Content-Type: application/json", "-d", body, "-w", r"\n"]
    line = shlex.join(words)
    if token_file is not None:
        # Read by the shell when it runs: the token itself is never printed.
        line += f' -H "Authorization: Bearer $(cat {shlex.quote(str(token_file))})"'
    return line
