"""Signing roots by the consensus specification itself. Run by the oracle environment's Python, not by ours:
standard input holds a JSON list of duties, standard output a list of roots in hex, in order.

Each duty: {"fork", "container", "object", "domain", "version", "genesis_validators_root"}.
"""

import importlib
import json
import sys

from eth_consensus_specs.debug.decode import decode
from eth_consensus_specs.utils.ssz.ssz_typing import ByteList, Bytes4, Bytes20, Bytes32, Bytes48, Container, Uint64


class ValidatorRegistrationV1(Container):
    """builder-specs, bellatrix: the consensus specification does not hold it."""

    fee_recipient: Bytes20
    gas_limit: Uint64
    timestamp: Uint64
    pubkey: Bytes48


class BuilderRequestAuth(Container):
    """builder-specs, gloas."""

    data: ByteList[4096]
    slot: Uint64


OWN = {"ValidatorRegistrationV1": ValidatorRegistrationV1, "BuilderRequestAuth": BuilderRequestAuth}


def numbers(value):
    """The same value with decimal strings as numbers: JSON of the clients' kind to the specification's."""
    if isinstance(value, dict):
        return {name: numbers(each) for name, each in value.items()}
    if isinstance(value, list):
        return [numbers(each) for each in value]
    return int(value) if isinstance(value, str) and value.isdigit() else value


def main() -> None:
    """Read duties, print roots."""
    roots = []
    for duty in json.load(sys.stdin):
        spec = importlib.import_module(f"eth_consensus_specs.{duty['fork'].lower()}.mainnet")
        container = OWN.get(duty["container"]) or getattr(spec, duty["container"])
        domain = spec.compute_domain(
            Bytes4(bytes.fromhex(duty["domain"])),
            Bytes4(bytes.fromhex(duty["version"])),
            Bytes32(bytes.fromhex(duty["genesis_validators_root"])),
        )
        roots.append(bytes(spec.compute_signing_root(decode(numbers(duty["object"]), container), domain)).hex())
    json.dump(roots, sys.stdout)


if __name__ == "__main__":
    main()
