"""Prints, for each fork with a payload in its blocks, a random body's root, and the branches of its fee recipient and
its graffiti, as JSON.

Run by the Python of `.venv-consensus-specs`, never by ours: the specification pins its libraries exactly.

    fee_recipient_proofs.py PRESET SEED
"""

import importlib
import json
import sys
from random import Random

from eth_consensus_specs.debug.random_value import RandomizationMode, get_random_ssz_object
from eth_consensus_specs.test.helpers.merkle import build_proof
from eth_consensus_specs.utils.ssz.ssz_impl import hash_tree_root

FORKS = ("bellatrix", "capella", "deneb", "electra", "fulu")
PATH = ("execution_payload", "fee_recipient")


def main(preset, seed):
    rng = Random(int(seed))
    proofs = []
    for fork in FORKS:
        spec = importlib.import_module(f"eth_consensus_specs.{fork}.{preset}")
        body = get_random_ssz_object(rng, spec.BeaconBlockBody, 50, 2, RandomizationMode.mode_random, False)
        index = spec.get_generalized_index(spec.BeaconBlockBody, *PATH)
        graffiti_index = spec.get_generalized_index(spec.BeaconBlockBody, "graffiti")
        proofs.append(
            {
                "fork": fork,
                "index": int(index),
                "branch": ["0x" + bytes(node).hex() for node in build_proof(body.get_backing(), index)],
                "body_root": "0x" + bytes(hash_tree_root(body)).hex(),
                "fee_recipient": "0x" + bytes(body.execution_payload.fee_recipient).hex(),
                "graffiti_index": int(graffiti_index),
                "graffiti_branch": [
                    "0x" + bytes(node).hex() for node in build_proof(body.get_backing(), graffiti_index)
                ],
                "graffiti": "0x" + bytes(body.graffiti).hex(),
            }
        )
    json.dump(proofs, sys.stdout)


main(*sys.argv[1:])
