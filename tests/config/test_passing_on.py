"""A worker's configuration is the main process's, value for value."""

import dataclasses
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from signer.auth.authenticate import Authenticator
from signer.config.credentials import read_credentials, without_files
from signer.config.load import load_config
from signer.config.passing_on import decode_config, decode_network, encode_config, encode_network
from signer.config.sections import Config, Preset
from signer.config.setting import values
from signer.errors import ConfigError
from signer.eth2.builtin_networks import find_network

EXAMPLES = sorted((Path(__file__).resolve().parent.parent.parent / "config").glob("*.yaml"))

FULL: dict[str, Any] = {
    "server.workers": 4,
    "server.cors_origins": ["https://a.example", ".*"],
    "server.tls.certificate_file": "/tls/server.pem",
    "server.tls.key_file": "/tls/server.key",
    "server.tls.known_clients_file": "/tls/known",
    "storage.data_directory": "/data",
    "network.name": "ephemery",
    "network.genesis_validators_root": "0x" + "12" * 32,
    "network.genesis_time": 2**64 - 1,
    "clock.far_future_epochs": 3,
    "logging.outputs": ["stderr", "file"],
    "logging.file": "/log/holdfast.log",
    "metrics.buckets_seconds": [0.001, 0.1, 2.5],
    "security.principals": [
        {
            "name": "prysm-1",
            "groups": ["a", "b"],
            "token_sha256": "34" * 32,
            "actions": ["keys:list", "sign:duty"],
            "keys": ["0x" + "56" * 48],
            "duties": ["ATTESTATION"],
            "certificate": {"sha256": "78" * 32},
        }
    ],
}


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.name)
def test_every_example_arrives_as_it_is(file):
    config = load_config(file, environ={}, flags={}, files_must_exist=False)
    assert decode_config(encode_config(config)) == config


@pytest.mark.parametrize("preset", list(Preset))
def test_a_configuration_with_every_kind_of_value_arrives_as_it_is(preset):
    config = load_config(None, environ={}, flags=FULL, preset=preset, files_must_exist=False)
    arrived = decode_config(encode_config(config))
    assert arrived == config
    assert arrived.sources == config.sources
    for sent, got in zip(values(config), values(arrived), strict=True):
        assert type(got.value) is type(sent.value), sent.key


def types_in(described: Any) -> Iterator[Any]:
    """A type as msgspec describes it, and all that it is made of."""
    yield described
    for name in described.__struct_fields__:
        member = getattr(described, name)
        for each in member if isinstance(member, tuple) else (member,):
            if isinstance(each, msgspec.inspect.Field):
                yield from types_in(each.type)
            elif isinstance(each, msgspec.inspect.Type):
                yield from types_in(each)


def test_paths_are_the_only_values_of_a_configuration_that_need_help_to_arrive():
    found = list(types_in(msgspec.inspect.type_info(Config)))
    assert len(found) > 100
    assert {each.cls for each in found if isinstance(each, msgspec.inspect.CustomType)} == {Path}


def test_a_network_arrives_as_it_is():
    network = find_network("gnosis")
    assert network is not None
    pinned = dataclasses.replace(network, genesis_validators_root=None, genesis_time=None)
    assert decode_network(encode_network(network)) == network
    assert decode_network(encode_network(pinned)) == pinned


@pytest.fixture
def with_files(tmp_path: Path) -> Config:
    for name, content in (("token", "a-long-bearer-token"), ("password", "a-long-password")):
        (tmp_path / name).write_text(content + "\n")
    principals = [
        {"name": "bearer", "token_file": str(tmp_path / "token")},
        {"name": "basic", "password_file": str(tmp_path / "password")},
        {"name": "both", "token_sha256": "34" * 32, "password_hash": "sha256$" + "aa" * 8 + "$" + "bb" * 32},
    ]
    flags = {"security.principals": principals, "storage.data_directory": "/data"}
    return load_config(None, environ={}, flags=flags, preset="test", files_must_exist=False)


async def test_without_their_files_the_same_credentials_are_known(with_files: Config, tmp_path: Path):
    passed_on = without_files(with_files.security, entropy=secrets.token_bytes)
    (tmp_path / "token").unlink()
    (tmp_path / "password").unlink()
    known = Authenticator(read_credentials(passed_on, entropy=secrets.token_bytes), anonymous=None)
    assert (await known.authenticate("Bearer a-long-bearer-token", None)).name == "bearer"
    assert (await known.authenticate("Basic YmFzaWM6YS1sb25nLXBhc3N3b3Jk", None)).name == "basic"
    assert [entry.token_file or entry.password_file for entry in passed_on.principals] == [None] * 3
    assert passed_on.principals[2] == with_files.security.principals[2]
    assert b"a-long" not in encode_config(dataclasses.replace(with_files, security=passed_on))


def test_a_credential_file_that_is_missing_stops_the_start(with_files: Config, tmp_path: Path):
    (tmp_path / "token").unlink()
    with pytest.raises(ConfigError, match="token_file"):
        without_files(with_files.security, entropy=secrets.token_bytes)
