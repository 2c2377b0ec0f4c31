"""What one decision of a policy may use up."""

from dataclasses import dataclass

MAX_MEMORY_BYTES = 16 << 20
"""The most memory any policy may ask for: every thread keeps as much address space ready."""

MAX_TABLE_ELEMENTS = 10_000
"""Function pointers of one table; the largest modules we have seen have a few hundred."""

MAX_TABLES = 4
"""Compilers make one; languages with reference types two."""

MAX_STACK_BYTES = 512 << 10
"""Of native stack for the calls inside of a module."""

MAX_MODULE_BYTES = 4 << 20
"""The largest module that is compiled: compiling takes about a second for each of them."""

MAX_COMPILE_SECONDS = 10.0
"""Of processor time for compiling one module; the usual ones take a tenth to a second."""

MAX_COMPILE_BYTES = 1 << 30
"""Of memory for compiling; the usual modules take a tenth of it."""

MAX_CODE_BYTES = 64 << 20
"""Of compiled code: it is kept in memory as long as its policy. The usual modules become three to six times as long."""

MAX_EXPORTS = 1024
"""Names that a module may offer; Open Policy Agent's modules offer about a hundred."""

MAX_FUEL = 1_000_000_000
"""The most that a manifest may ask for; the time is over before."""

MAX_WALL_SECONDS = 1.0
"""The most that a manifest may ask for."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Of one decision. What is over one of them is a denial."""

    fuel: int = 2_000_000
    """About one for each instruction and each byte that is copied: 2 million are 0.3 to 3 ms. It is not time: so much
    of `memory.grow` and `table.grow`, failing ones too, were 9 to 40 ms, and touching 16 MiB for the first time is
    40,000 fuel and 7 to 20 ms. `wall_seconds` is what bounds those."""

    memory_bytes: int = MAX_MEMORY_BYTES
    wall_seconds: float = 0.1
    """The last resort, for what fuel does not measure. Looked at in ticks, and then it is the processor time of the
    thread that counts, so that a busy machine does not shorten it."""


DEFAULT_LIMITS = Limits()
