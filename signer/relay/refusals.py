"""Errors over the link: the same class, code, sentence and evidence at the other end, so the same status and body."""

from collections.abc import Iterator

from signer.errors import PolicyDeniedError, SignerError
from signer.relay.command_rows import ProblemRow


def problem_row(error: SignerError) -> ProblemRow:
    """An error as it travels."""
    of_policy = isinstance(error, PolicyDeniedError)
    return ProblemRow(error.code, error.sentence, dict(error.evidence), of_policy)


def error_of(row: ProblemRow) -> SignerError:
    """The error again. Attributes that only its own class has (`vote`, `recorded`) stay behind: edges ask for none.

    A code that nobody knows becomes a SignerError: it fails closed, as 500.
    """
    kind = PolicyDeniedError if row.of_policy else _KINDS.get(row.code, SignerError)
    error = kind.__new__(kind, row.sentence)
    SignerError.__init__(error, row.sentence, evidence=row.evidence)
    if isinstance(error, PolicyDeniedError):
        error.code = row.code  # type: ignore[misc] # a policy's own
    return error


def _kinds(of: type[SignerError]) -> Iterator[type[SignerError]]:
    yield of
    for kind in of.__subclasses__():
        yield from _kinds(kind)


_KINDS = {kind.code: kind for kind in _kinds(SignerError) if "code" in vars(kind)}
"""By code. A class without a code of its own is not raised itself."""
