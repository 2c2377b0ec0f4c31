"""What a command says when it cannot do what it was asked: one message with a remedy, or a problem document."""

from textwrap import indent
from typing import Any

from signer.errors import AnsweredError, ConfigError, DatabaseDownError, KeyQuarantinedError, SignerError

EXIT_REFUSED = 1
"""The command was understood and failed, or something is wrong with the signer."""

EXIT_NOT_LOADED = 3
"""`slashing explain`: the key is not loaded, or nothing at all is known of it."""

EXIT_USAGE = 2
"""The command line or the configuration is at fault: nothing was tried."""

_NO_CHANCE = 8
"""Letters of a value that is not found in a sentence which does not tell it."""

USAGE_CODE = "USAGE"
"""The code of a command line that makes no sense."""


class UsageFault(Exception):  # noqa: N818  # an error of the command line alone: it is no state of the signer
    """Options that do not go together; `remedy` says what would."""

    def __init__(self, sentence: str, *, remedy: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.remedy = remedy


def exit_code(error: SignerError | UsageFault) -> int:
    """The exit code that an error ends with."""
    return EXIT_USAGE if isinstance(error, ConfigError | UsageFault) else EXIT_REFUSED


def problem_document(error: SignerError | UsageFault) -> dict[str, Any]:
    """The error for programs: the members of RFC 9457, and its evidence."""
    if isinstance(error, UsageFault):
        return {"title": "usage", "detail": error.sentence, "code": USAGE_CODE, "remedy": error.remedy}
    document: dict[str, Any] = {"title": "failed", "detail": error.sentence, "code": error_code(error)}
    if isinstance(error, AnsweredError):
        document["status"] = error.status
    remedy = find_remedy(error)
    return {**error.evidence, **document, **({"remedy": remedy} if remedy else {})}


def problem_text(error: SignerError | UsageFault) -> str:
    """The error for people: what is wrong, what is known of it, what to do."""
    if isinstance(error, UsageFault):
        return f"error: {error.sentence}\n  remedy: {error.remedy}"
    lines = [f"error: {error.sentence} ({error_code(error)})"]
    lines += [
        f"  {name}: {_block(value)}"
        for name, value in error.evidence.items()
        if name != "remedy" and value not in (None, "") and not _is_told(value, error.sentence)
    ]
    remedy = find_remedy(error)
    return "\n".join([*lines, f"  remedy: {remedy}"] if remedy else lines)


def _is_told(value: str | int | None, sentence: str) -> bool:
    """Whether the sentence says it already: at its head, or as something too long to stand there by chance."""
    if not isinstance(value, str):
        return False
    return sentence.startswith((f"{value} ", f"{value}:")) or (len(value) >= _NO_CHANCE and value in sentence)


def _block(value: str | int | None) -> str:
    """The value; of several lines, each on its own below the name."""
    text = str(value)
    return "\n" + indent(text, "    ") if "\n" in text else text


def error_code(error: SignerError) -> str:
    """The stable code: the server's own where a server answered."""
    return error.reported_code if isinstance(error, AnsweredError) else error.code


_REMEDIES = {
    DatabaseDownError.code: "while the database is down nothing is signed, and no order (a freeze) is recorded:"
    " if signing must not go on once it is back, stop the signers now (every one of this database); otherwise start"
    " PostgreSQL and give the command again: the signers need no restart",
    KeyQuarantinedError.code: "see which keys wait with `holdfast keys list`; import their history (holdfast slashing"
    " import), or, if nothing else can sign with them, end the wait: holdfast keys release KEY",
}
"""By the error's code, where the error itself has none."""


def find_remedy(error: SignerError) -> str | None:
    """What to do, where the error or its code knows."""
    remedy = getattr(error, "remedy", None) or error.evidence.get("remedy") or _REMEDIES.get(error_code(error))
    return str(remedy) if remedy else None
