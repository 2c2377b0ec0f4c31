"""The networks that need no configuration file. Facts: the networks' own consensus configurations
(eth-clients/{mainnet,hoodi,sepolia,holesky}, gnosischain/configs, ephemery-testnet/ephemery-genesis,
consensus-specs configs/minimal.yaml); tests compare them with copies of those files.
"""

from collections.abc import Mapping, Sequence

from signer.eth2.forks import Fork
from signer.eth2.networks import (
    FAR_FUTURE_EPOCH,
    GNOSIS_PRESET,
    MAINNET_PRESET,
    MINIMAL_PRESET,
    Network,
    Preset,
)
from signer.units import Epoch, Root, Version

_UNSCHEDULED = FAR_FUTURE_EPOCH


def find_network(name: str) -> Network | None:
    """The built-in network of this name, in any case, `-` and `_` being the same; None if there is none."""
    return _NETWORKS.get(_normal(name))


def network_names() -> tuple[str, ...]:
    """The names of the built-in networks, in the order a user should see them."""
    return tuple(_NETWORKS)


def network_of_root(root: Root) -> str | None:
    """The name of the built-in network with this genesis_validators_root; None if there is none."""
    return next((name for name, one in _NETWORKS.items() if one.genesis_validators_root == root), None)


def _normal(name: str) -> str:
    return name.lower().replace("_", "-")


def _network(
    name: str, preset: Preset, *, genesis: tuple[str, int] | None, forks: Sequence[tuple[str, int]], slot_seconds: int
) -> Network:
    schedule = tuple(
        (Fork(order), Version(bytes.fromhex(version)), Epoch(epoch)) for order, (version, epoch) in enumerate(forks)
    )
    return Network(
        name=name,
        preset=preset,
        genesis_validators_root=Root(bytes.fromhex(genesis[0])) if genesis else None,
        genesis_time=genesis[1] if genesis else None,
        genesis_fork_version=schedule[0][1],
        schedule=schedule,
        slot_milliseconds=slot_seconds * 1000,
    )


_MAINNET = _network(
    "mainnet",
    MAINNET_PRESET,
    genesis=("4b363db94e286120d76eb905340fdd4e54bfe9f06bf33ff6cf5ad27f511bfe95", 1606824023),
    forks=[
        ("00000000", 0),
        ("01000000", 74240),
        ("02000000", 144896),
        ("03000000", 194048),
        ("04000000", 269568),
        ("05000000", 364032),
        ("06000000", 411392),
        ("07000000", _UNSCHEDULED),
        ("08000000", _UNSCHEDULED),
    ],
    slot_seconds=12,
)

_HOODI = _network(
    "hoodi",
    MAINNET_PRESET,
    genesis=("212f13fc4df078b6cb7db228f1c8307566dcecf900867401a92023d7ba99cb5f", 1742213400),
    forks=[
        ("10000910", 0),
        ("20000910", 0),
        ("30000910", 0),
        ("40000910", 0),
        ("50000910", 0),
        ("60000910", 2048),
        ("70000910", 50688),
    ],
    slot_seconds=12,
)

_SEPOLIA = _network(
    "sepolia",
    MAINNET_PRESET,
    genesis=("d8ea171f3c94aea21ebc42a1ed61052acf3f9209c00e4efbaaddac09ed9b8078", 1655733600),
    forks=[
        ("90000069", 0),
        ("90000070", 50),
        ("90000071", 100),
        ("90000072", 56832),
        ("90000073", 132608),
        ("90000074", 222464),
        ("90000075", 272640),
    ],
    slot_seconds=12,
)

_HOLESKY = _network(
    "holesky",
    MAINNET_PRESET,
    genesis=("9143aa7c615a7f7115e2b6aac319c03529df8242ae705fba9df39b79c59fa8b1", 1695902400),
    forks=[
        ("01017000", 0),
        ("02017000", 0),
        ("03017000", 0),
        ("04017000", 256),
        ("05017000", 29696),
        ("06017000", 115968),
        ("07017000", 165120),
    ],
    slot_seconds=12,
)

_GNOSIS = _network(
    "gnosis",
    GNOSIS_PRESET,
    genesis=("f5dcb5564e829aab27264b9becd5dfaa017085611224cb3036f573368dbb9d47", 1638993340),
    forks=[
        ("00000064", 0),
        ("01000064", 512),
        ("02000064", 385536),
        ("03000064", 648704),
        ("04000064", 889856),
        ("05000064", 1337856),
        ("06000064", 1714688),
        ("07000064", _UNSCHEDULED),
    ],
    slot_seconds=5,
)

_CHIADO = _network(
    "chiado",
    GNOSIS_PRESET,
    genesis=("9d642dac73058fbf39c0ae41ab1e34e4d889043cb199851ded7095bc99eb4c1e", 1665396300),
    forks=[
        ("0000006f", 0),
        ("0100006f", 90),
        ("0200006f", 180),
        ("0300006f", 244224),
        ("0400006f", 516608),
        ("0500006f", 948224),
        ("0600006f", 1353216),
        ("0700006f", _UNSCHEDULED),
    ],
    slot_seconds=5,
)

_EPHEMERY = _network(
    "ephemery",  # starts anew every few weeks: root and time come from configuration
    MAINNET_PRESET,
    genesis=None,
    forks=[
        ("1000101b", 0),
        ("2000101b", 0),
        ("3000101b", 0),
        ("4000101b", 0),
        ("5000101b", 0),
        ("6000101b", 0),
        ("7000101b", 0),
        ("8000101b", _UNSCHEDULED),
    ],
    slot_seconds=12,
)

_MINIMAL = _network(
    "minimal",  # a preset with its default configuration, not a chain: root and time come from configuration
    MINIMAL_PRESET,
    genesis=None,
    forks=[
        ("00000001", 0),
        ("01000001", _UNSCHEDULED),
        ("02000001", _UNSCHEDULED),
        ("03000001", _UNSCHEDULED),
        ("04000001", _UNSCHEDULED),
        ("05000001", _UNSCHEDULED),
        ("06000001", _UNSCHEDULED),
        ("07000001", _UNSCHEDULED),
        ("08000001", _UNSCHEDULED),
    ],
    slot_seconds=6,
)

_NETWORKS: Mapping[str, Network] = {
    network.name: network for network in (_MAINNET, _HOODI, _SEPOLIA, _HOLESKY, _GNOSIS, _CHIADO, _EPHEMERY, _MINIMAL)
}
