"""Prints random Gloas and Heze objects with the roots the consensus specification gives them, as JSON.

Run by the Python of `.venv-consensus-specs`, never by ours: the specification pins its libraries exactly.

    gloas_roots.py PRESET SEED CASES_PER_TYPE
"""

import importlib
import json
import sys
from random import Random

from eth_consensus_specs.debug.encode import encode
from eth_consensus_specs.debug.random_value import RandomizationMode, get_random_ssz_object
from eth_consensus_specs.utils.ssz.ssz_impl import hash_tree_root
from eth_consensus_specs.utils.ssz.ssz_typing import ByteList, Bytes4, Container, Uint64

GLOAS_TYPES = {
    "AttestationData": "DOMAIN_BEACON_ATTESTER",
    "BeaconBlockHeader": "DOMAIN_BEACON_PROPOSER",
    "AggregateAndProof": "DOMAIN_AGGREGATE_AND_PROOF",
    "ContributionAndProof": "DOMAIN_CONTRIBUTION_AND_PROOF",
    "ExecutionPayloadBid": "DOMAIN_BEACON_BUILDER",
    "ExecutionPayloadEnvelope": "DOMAIN_BEACON_BUILDER",
    "PayloadAttestationData": "DOMAIN_PTC_ATTESTER",
    "ProposerPreferences": "DOMAIN_PROPOSER_PREFERENCES",
}
HEZE_TYPES = {
    "AggregateAndProof": "DOMAIN_AGGREGATE_AND_PROOF",
    "ExecutionPayloadBid": "DOMAIN_BEACON_BUILDER",
    "InclusionList": "DOMAIN_INCLUSION_LIST_COMMITTEE",
}
MODES = (
    RandomizationMode.mode_random,
    RandomizationMode.mode_zero,
    RandomizationMode.mode_max,
    RandomizationMode.mode_nil_count,
    RandomizationMode.mode_one_count,
    RandomizationMode.mode_max_count,
)
MAX_BYTES = 200
MAX_ELEMENTS = 12


class BuilderRequestAuth(Container):
    """builder-specs, gloas/validator.md: not part of the consensus specification."""

    data: ByteList[4096]
    slot: Uint64


def main(preset, seed, cases_per_type):
    rng = Random(int(seed))
    samples = []
    for fork, types in (("gloas", GLOAS_TYPES), ("heze", HEZE_TYPES)):
        spec = importlib.import_module(f"eth_consensus_specs.{fork}.{preset}")
        version = getattr(spec.config, f"{fork.upper()}_FORK_VERSION")
        for name, domain_type in types.items():
            ssz_type = getattr(spec, name)
            samples += [
                sample(spec, rng, ssz_type, case, fork, getattr(spec, domain_type), version)
                for case in range(int(cases_per_type))
            ]
    genesis = spec.config.GENESIS_FORK_VERSION
    auth_domain = spec.DomainType("0x0b000001")
    samples += [
        sample(spec, rng, BuilderRequestAuth, case, "gloas", auth_domain, genesis, genesis_validators_root=False)
        for case in range(int(cases_per_type))
    ]
    json.dump(samples, sys.stdout)


def sample(spec, rng, ssz_type, case, fork, domain_type, version, genesis_validators_root=True):
    mode = MODES[case % len(MODES)]
    value = get_random_ssz_object(rng, ssz_type, MAX_BYTES, MAX_ELEMENTS, mode, case % 7 == 6)
    if ssz_type.__name__ == "ExecutionPayloadEnvelope":  # `process_execution_requests` allows no more
        while len(value.execution_requests.consolidations) > spec.MAX_CONSOLIDATION_REQUESTS_PER_PAYLOAD:
            value.execution_requests.consolidations.pop()
    root = rng.randbytes(32) if genesis_validators_root else bytes(32)
    domain = spec.compute_domain(domain_type, Bytes4(version), spec.Root(root))
    return {
        "fork": fork,
        "type": ssz_type.__name__,
        "mode": mode.name,
        "value": encode(value),
        "version": "0x" + bytes(version).hex(),
        "genesis_validators_root": "0x" + root.hex(),
        "object_root": "0x" + bytes(hash_tree_root(value)).hex(),
        "signing_root": "0x" + bytes(spec.compute_signing_root(value, domain)).hex(),
    }


if __name__ == "__main__":
    main(*sys.argv[1:])
