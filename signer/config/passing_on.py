"""A configuration on its way from the main process to a worker: every value as it is, nothing read again.

The network goes with it, because its file may have changed since.
"""

from pathlib import Path, PurePath
from types import MappingProxyType
from typing import Any, assert_never

import msgspec

from signer.config.sections import Config
from signer.eth2.networks import Network


def encode_config(config: Config) -> bytes:
    """The whole configuration as MessagePack. Digests of secrets are in it: it goes to our own workers alone."""
    return msgspec.msgpack.encode(config, enc_hook=_encode)


def decode_config(data: bytes) -> Config:
    """The configuration again. Raises msgspec.ValidationError: these bytes are none."""
    return _decoder.decode(data)


def encode_network(network: Network) -> bytes:
    """The network as MessagePack."""
    return msgspec.msgpack.encode(network)


def decode_network(data: bytes) -> Network:
    """The network again. Raises msgspec.ValidationError: these bytes are none."""
    return msgspec.msgpack.decode(data, type=Network)


_Foreign = PurePath | MappingProxyType[str, Any]
"""The values in a configuration that MessagePack has no form of; a test looks through all of its types for others."""


def _encode(value: _Foreign) -> str | dict[str, Any]:
    match value:
        case PurePath():
            return str(value)
        case MappingProxyType():
            return dict(value)
        case _:
            assert_never(value)


def _decode(kind: type, value: Any) -> Path:
    if kind is not Path:
        raise TypeError(f"a {kind.__name__} in the configuration")
    return Path(value)


_decoder = msgspec.msgpack.Decoder(Config, dec_hook=_decode)
