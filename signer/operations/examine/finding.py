"""What an examination found: a grade, a sentence, and what to do."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

Figures = Mapping[str, str | int | float | None]
"""What was measured; units are in the names."""


class Grade(StrEnum):
    """How good it is; a fault is what makes an examination fail."""

    OK = "ok"
    WARNING = "warning"
    FAULT = "fault"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    subject: str
    grade: Grade
    sentence: str
    remedy: str = ""
    figures: Figures = field(default_factory=dict)


def fault(subject: str, sentence: str, *, remedy: str, strict: bool = True) -> Finding:
    """Something wrong; where nobody is strict it is a warning."""
    return Finding(subject, Grade.FAULT if strict else Grade.WARNING, sentence, remedy)
