"""The section `key_manager`: the Ethereum key manager API."""

from dataclasses import dataclass, field
from pathlib import Path

from signer.config.setting import about

SHA256_BYTES = 32
"""Length of a SHA-256 digest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyManagerSettings:
    """The Ethereum key manager API on the network listener."""

    enabled: bool = field(
        default=False,
        metadata=about(
            "Serves `/eth/v1/keystores`, `/eth/v1/remotekeys` and, for single keys, `feerecipient`, `gas_limit`, "
            "`graffiti` and `voluntary_exit` below `/eth/v1/validator/`. Off, as in Web3Signer: whoever has the token "
            "can take keys away."
        ),
    )
    token_file: Path | None = field(
        default=Path("key-manager-token"),
        metadata=about(
            "A file whose first line is the bearer token that the API asks for; `holdfast init` makes it, mode 0600. "
            "Principals with the action `keys:write` get in with their own proof.",
            in_data_directory=True,
            private_file=True,
        ),
    )
    token_sha256: bytes | None = field(
        default=None,
        repr=False,
        metadata=about(
            "Instead of the file: the token's SHA-256 in hexadecimal, so that the token itself is in no file of ours.",
            byte_count=SHA256_BYTES,
            optional_prefix="sha256$",
            secret=True,
        ),
    )
