"""One thing about a configuration that an operator must change, or should know."""

from dataclasses import dataclass

from signer.config.sections import Config


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that must change before the signer starts, or a warning that it may start with."""

    key: str
    where: str
    sentence: str
    remedy: str


def fault_of(config: Config, key: str, sentence: str, remedy: str) -> Fault:
    """The fault of a key, with the place that set it."""
    return Fault(key, config.where(key), sentence, remedy)
