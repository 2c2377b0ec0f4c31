"""Networks read from a consensus configuration file: what is understood, and what is refused with its line."""

import pytest

from signer.errors import ConfigError
from signer.eth2.forks import Fork
from signer.eth2.network_config import network_from_config
from signer.eth2.networks import FAR_FUTURE_EPOCH

DEVNET = """
# a devnet
PRESET_BASE: 'minimal'
CONFIG_NAME: devnet-7
GENESIS_FORK_VERSION: 0x10000038
ALTAIR_FORK_VERSION: '0x20000038'
ALTAIR_FORK_EPOCH: 0
BELLATRIX_FORK_VERSION: "0x30000038"
BELLATRIX_FORK_EPOCH: 0 # merged at genesis
CAPELLA_FORK_VERSION: 0x40000038
SECONDS_PER_SLOT: 3
SOMETHING_NEW: 17
BLOB_SCHEDULE:
  - EPOCH: 4
    MAX_BLOBS_PER_BLOCK: 9
"""


def read(text):
    return network_from_config(text, genesis_validators_root=bytes(32), genesis_time=17, file="devnet.yaml")


def test_a_devnet_is_read_with_what_it_leaves_out():
    network = read(DEVNET)
    assert (network.name, network.preset.name, network.slot_milliseconds) == ("devnet-7", "minimal", 3000)
    assert network.genesis_fork_version.hex() == "10000038"
    assert network.schedule[1:] == (
        (Fork.ALTAIR, bytes.fromhex("20000038"), 0),
        (Fork.BELLATRIX, bytes.fromhex("30000038"), 0),
        (Fork.CAPELLA, bytes.fromhex("40000038"), FAR_FUTURE_EPOCH),
    )
    assert network.genesis_time == 17


def test_the_preset_is_mainnet_unless_named():
    assert read("GENESIS_FORK_VERSION: 0x00000000\nSLOT_DURATION_MS: 12000").preset.name == "mainnet"


def test_gloas_and_heze_are_read_where_they_stand():
    forks = "".join(
        f"{fork.name}_FORK_VERSION: 0x0{fork}000000\n{fork.name}_FORK_EPOCH: {fork * 10}\n" for fork in Fork
    )
    network = read("GENESIS_FORK_VERSION: 0x00000000\nSLOT_DURATION_MS: 12000\n" + forks)
    assert network.fork_at(70) is Fork.GLOAS
    assert network.fork_at(80) is Fork.HEZE


@pytest.mark.parametrize(
    ("text", "key", "where"),
    [
        ("", "", "devnet.yaml"),
        ("- a list", "", "devnet.yaml"),
        ("a: [", "", "devnet.yaml:1"),
        ("PRESET_BASE: mainnet", "GENESIS_FORK_VERSION", "devnet.yaml"),
        (DEVNET.replace("0x10000038", "0x1000"), "GENESIS_FORK_VERSION", "devnet.yaml:5"),
        (DEVNET.replace("0x10000038", "10000038"), "GENESIS_FORK_VERSION", "devnet.yaml:5"),
        (DEVNET.replace("0x10000038", "0xzz000038"), "GENESIS_FORK_VERSION", "devnet.yaml:5"),
        (DEVNET.replace("'minimal'", "enormous"), "PRESET_BASE", "devnet.yaml:3"),
        (DEVNET.replace("ALTAIR_FORK_EPOCH: 0", "ALTAIR_FORK_EPOCH: soon"), "ALTAIR_FORK_EPOCH", "devnet.yaml:7"),
        (DEVNET.replace("ALTAIR_FORK_EPOCH: 0", "ALTAIR_FORK_EPOCH: 9"), "BELLATRIX_FORK_EPOCH", "devnet.yaml:9"),
        (DEVNET.replace("ALTAIR_FORK_", "OLTAIR_FORK_"), "BELLATRIX_FORK_EPOCH", "devnet.yaml:9"),
        (DEVNET.replace("ALTAIR_FORK_VERSION", "OTHER"), "ALTAIR_FORK_VERSION", "devnet.yaml"),
        (DEVNET.replace("SECONDS_PER_SLOT: 3", ""), "SLOT_DURATION_MS", "devnet.yaml"),
        (DEVNET + "SLOT_DURATION_MS: 12000\n", "SLOT_DURATION_MS", "devnet.yaml:16"),
        (DEVNET + "PRESET_BASE: minimal\n", "PRESET_BASE", "devnet.yaml:16"),
        (DEVNET + f"GLOAS_FORK_EPOCH: {2**64}\n", "GLOAS_FORK_EPOCH", "devnet.yaml:16"),
    ],
)
def test_a_fault_is_refused_with_its_key_and_line(text, key, where):
    with pytest.raises(ConfigError) as refusal:
        read(text)
    assert (refusal.value.key, refusal.value.where) == (key, where)
    assert refusal.value.remedy


def test_both_lengths_of_a_slot_may_stand_if_they_agree():
    assert read(DEVNET + "SLOT_DURATION_MS: 3000\n").slot_milliseconds == 3000
