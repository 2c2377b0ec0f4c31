"""The sections `network`, `clock` and `namespaces`: which chain, what time, whose keys."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from signer.clock.sources import SPELLINGS
from signer.config.setting import about
from signer.errors import StartupError
from signer.eth2.builtin_networks import find_network
from signer.eth2.network_config import network_from_config
from signer.eth2.networks import Network
from signer.units import ROOT_BYTES, UINT64_MAX, Root

NetworkName = Literal["mainnet", "hoodi", "sepolia", "holesky", "gnosis", "chiado", "ephemery", "minimal"]
"""The networks of eth2/builtin_networks.py; a test compares them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkSettings:
    """The consensus network whose duties are signed, and no other's."""

    name: NetworkName = field(
        default="mainnet",
        metadata=about(
            "A built-in network. Mainnet, as in Web3Signer. `ephemery` and `minimal` need the genesis keys."
        ),
    )
    config_file: Path | None = field(
        default=None,
        metadata=about(
            "Any other network: its consensus `config.yaml`. Instead of `name`; needs `genesis_validators_root` and "
            "`genesis_time`.",
            must_exist="file",
        ),
    )
    genesis_validators_root: Root | None = field(
        default=None,
        metadata=about(
            "The network's root, pinned: duties of another chain are refused. Built-in networks with a fixed genesis "
            "bring theirs.",
            default_text="the built-in network's",
            byte_count=ROOT_BYTES,
        ),
    )
    genesis_time: int | None = field(
        default=None,
        metadata=about(
            "The network's first second: slots are counted from here, and the far-future guard needs them.",
            unit="seconds since the Unix epoch",
            default_text="the built-in network's",
            minimum=0,
            maximum=UINT64_MAX,
        ),
    )
    pin_first_seen: bool = field(
        default=False,
        metadata=about(
            "Where no root is known, pins the one of the first request. Only in the presets `development` and `test`: "
            "whoever asks first would choose the chain.",
            default_text="`false`; `true` in the presets `development` and `test`",
        ),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockSettings:
    """The wall clock and how far it is believed."""

    source: str = field(
        default="kernel",
        metadata=about(
            "Who vouches for the clock at start: `kernel` (its synchronisation state, kept by chrony or "
            "systemd-timesyncd), `ntp:HOST` or `ntp:HOST:PORT` (asked directly), `trusted` (nobody is asked: where the "
            "hypervisor keeps the time).",
            default_text="`kernel`; `trusted` in the preset `test`",
            pattern=r"\S+",
            pattern_text=SPELLINGS,
        ),
    )
    max_offset_seconds: float = field(
        default=0.5,
        metadata=about(
            "The largest error of the clock with which `production` starts: the consensus specification's "
            "MAXIMUM_GOSSIP_CLOCK_DISPARITY.",
            unit="seconds",
            minimum=0.001,
            maximum=12,
        ),
    )
    far_future_epochs: int | None = field(
        default=1,
        metadata=about(
            "How far ahead of the clock a vote, a block or an exit may be. A signature far ahead would forbid every "
            "honest one until then, or end a validator when nobody expects it. `null`, or more than 82,125 (a year of "
            "mainnet), removes the guard: in preset `test` only.",
            unit="epochs",
            minimum=0,
            maximum=UINT64_MAX,
        ),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class NamespacesSettings:
    """Separate sets of keys."""

    names: tuple[Literal["default"], ...] = field(
        default=("default",),
        metadata=about("The namespaces served. Every key is in `default`, the only one there is so far."),
    )


def read_network(settings: NetworkSettings) -> Network:
    """The network that the settings name; reads `config_file` where there is one.

    Raises:
        ConfigError: that file is not a consensus configuration. OSError: it cannot be read.
    """
    if settings.config_file is not None:
        return network_from_config(
            settings.config_file.read_text(),
            genesis_validators_root=settings.genesis_validators_root,
            genesis_time=settings.genesis_time,
            file=str(settings.config_file),
        )
    network = find_network(settings.name)
    if network is None:
        raise StartupError(f"network {settings.name} is not built in", remedy="set network.config_file")
    return replace(
        network,
        genesis_validators_root=settings.genesis_validators_root or network.genesis_validators_root,
        genesis_time=network.genesis_time if settings.genesis_time is None else settings.genesis_time,
    )
