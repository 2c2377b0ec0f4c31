"""A module that can be run."""

from dataclasses import dataclass
from enum import Enum
from typing import Any

from signer.policy.grants import HostFunction


class Interface(Enum):
    """How a module is asked."""

    VERSION_1 = "holdfast 1"
    OPA = "open policy agent 1"


@dataclass(frozen=True, slots=True, weakref_slot=True, eq=False)
class CompiledModule:
    """A checked and compiled module: runs as often as wanted, on any thread."""

    sha256: bytes
    """Of the module as it was given."""

    interface: Interface
    imports: frozenset[HostFunction]
    """Those that its manifest must grant."""

    exports: tuple[bytes, ...]
    """The names that a decision looks up, its memory first."""

    memory_bytes: int
    """What it begins with."""

    code_bytes: int
    """Of compiled code, in this process's memory."""

    prepared: int
    """Address of the prepared instance (`wasmtime_instance_pre_t`)."""

    holds: tuple[Any, ...]
    """What must live as long as `prepared` is used."""
