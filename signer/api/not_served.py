"""Paths of public APIs that a signer does not serve on purpose: why, and what there is instead."""

import re

_BUILDERS = re.compile(r"/eth/v1/validator/[^/]+/builder[a-z_]*")
"""Of drafts of the key manager API: ethereum/keymanager-APIs, `apis/validator_builders.yaml`."""

_WHY_NO_BUILDERS = (
    "settings of builders are the validator client's, for a signer talks to no builder: set them there; what the client"
    " registers with builders is bound by the key's feerecipient and gas_limit in this API"
)


def why_not_served(path: str) -> str | None:
    """A sentence for a path that somebody may look for here; None for any other."""
    return _WHY_NO_BUILDERS if _BUILDERS.fullmatch(path) else None
