"""How the slashing record is written down: unsigned 64-bit numbers in SQL's signed ones, order kept."""

_OFFSET = 2**63


def ordered(value: int) -> int:
    """An unsigned 64-bit number as a signed one of the same order."""
    return value - _OFFSET


def unordered(stored: int) -> int:
    """The number that `ordered` stored."""
    return stored + _OFFSET
