"""The built-in networks against the networks' own configuration files, and the questions they answer."""

import dataclasses
import json

import pytest

from signer.eth2 import domains
from signer.eth2.builtin_networks import find_network, network_names
from signer.eth2.domains import ZERO_ROOT, domain
from signer.eth2.forks import Fork
from signer.eth2.network_config import network_from_config
from signer.eth2.networks import FAR_FUTURE_EPOCH
from signer.units import UINT64_MAX

WITH_FILES = ("mainnet", "hoodi", "sepolia", "holesky", "gnosis", "chiado")


@pytest.mark.parametrize("name", WITH_FILES)
def test_a_built_in_network_is_what_its_configuration_file_says(vectors, name):
    genesis = json.loads((vectors / "networks" / "genesis.json").read_text())[name]
    described = network_from_config(
        (vectors / "networks" / f"{name}.yaml").read_text(),
        genesis_validators_root=bytes.fromhex(genesis["genesis_validators_root"][2:]),
        genesis_time=genesis["genesis_time"],
    )
    assert find_network(name) == dataclasses.replace(described, name=name)
    assert find_network(name).slot_milliseconds == genesis["seconds_per_slot"] * 1000
    assert find_network(name).preset.name == genesis["preset"]


def test_the_minimal_network_is_what_the_specifications_configuration_says(vectors):
    text = (vectors / "eth-consensus" / "config" / "configs" / "minimal.yaml").read_text()
    described = network_from_config(text, genesis_validators_root=None, genesis_time=None)
    assert find_network("minimal") == described


@pytest.mark.parametrize("name", ["mainnet", "sepolia", "holesky", "hoodi"])
def test_every_domain_of_a_network_is_the_published_one(vectors, name):
    published = json.loads((vectors / "eth-consensus" / "signing" / "networks.json").read_text())[name]
    network = find_network(name)
    for fork in published["forks"]:
        version = bytes.fromhex(fork["version"][2:])
        assert network.find_fork(version) is Fork[fork["fork"].upper()]
        assert network.fork_at(int(fork["epoch"])) >= Fork[fork["fork"].upper()]
        for domain_name, expected in fork["domains"].items():
            computed = domain(getattr(domains, domain_name), version, network.genesis_validators_root)
            assert "0x" + computed.hex() == expected, (fork["fork"], domain_name)
    genesis_domains = published["genesis_domains"]
    for domain_name in ("DEPOSIT", "APPLICATION_BUILDER"):
        computed = domain(getattr(domains, domain_name), network.genesis_fork_version, ZERO_ROOT)
        assert "0x" + computed.hex() == genesis_domains[domain_name]


@pytest.mark.parametrize("spelling", ["mainnet", "MAINNET", "MainNet"])
def test_a_network_is_found_in_any_case(spelling):
    assert find_network(spelling).name == "mainnet"


def test_an_unknown_network_is_not_found():
    assert find_network("atlantis") is None


def test_ephemery_and_minimal_have_no_genesis_of_their_own():
    for name in ("ephemery", "minimal"):
        network = find_network(name)
        assert network.genesis_validators_root is None
        assert network.genesis_time is None
        assert network.slot_at(1_700_000_000.0) is None
        assert network.epoch_at(1_700_000_000.0) is None


def test_ephemery_signs_under_its_own_versions():
    assert find_network("ephemery").genesis_fork_version.hex() == "1000101b"
    assert find_network("ephemery").find_version(Fork.FULU).hex() == "7000101b"


@pytest.mark.parametrize(
    ("epoch", "fork"),
    [
        (0, Fork.PHASE0),
        (74239, Fork.PHASE0),
        (74240, Fork.ALTAIR),
        (269567, Fork.CAPELLA),
        (269568, Fork.DENEB),
        (364032, Fork.ELECTRA),
        (411392, Fork.FULU),
        (UINT64_MAX - 1, Fork.FULU),
        (FAR_FUTURE_EPOCH, Fork.FULU),
    ],
)
def test_an_epoch_is_in_the_fork_of_the_schedule_and_no_epoch_is_in_an_unscheduled_one(epoch, fork):
    assert find_network("mainnet").fork_at(epoch) is fork


def test_forks_of_one_epoch_leave_the_latest():
    assert find_network("hoodi").fork_at(0) is Fork.DENEB
    assert find_network("hoodi").version_at(0).hex() == "50000910"


def test_a_version_that_two_forks_share_belongs_to_none():
    network = find_network("minimal")
    one_version = tuple((fork, network.genesis_fork_version, epoch) for fork, _, epoch in network.schedule)
    shared = dataclasses.replace(network, schedule=one_version)
    assert shared.find_fork(network.genesis_fork_version) is None


@pytest.mark.parametrize(
    ("seconds", "slot", "epoch"),
    [
        (0.0, 0, 0),
        (1606824022.9, 0, 0),
        (1606824023.0, 0, 0),
        (1606824034.999, 0, 0),
        (1606824035.0, 1, 0),
        (1606824023.0 + 12 * 32, 32, 1),
        (1606824023.0 + 12 * 32 - 0.001, 31, 0),
    ],
)
def test_the_clock_gives_slot_and_epoch(seconds, slot, epoch):
    mainnet = find_network("mainnet")
    assert mainnet.slot_at(seconds) == slot
    assert mainnet.epoch_at(seconds) == epoch


def test_gnosis_has_shorter_epochs():
    assert find_network("gnosis").epoch_of(31) == 1
    assert find_network("minimal").epoch_of(31) == 3


def test_the_names_are_the_eight_networks():
    assert set(network_names()) == {
        "mainnet",
        "hoodi",
        "sepolia",
        "holesky",
        "gnosis",
        "chiado",
        "ephemery",
        "minimal",
    }
