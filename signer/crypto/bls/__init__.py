"""BLS12-381 signatures of the consensus layer: one interface, two libraries, one self-test."""

from collections.abc import Callable, Sequence

from signer.crypto.bls.known_answers import check_known_answers
from signer.crypto.bls.scheme import DOMAIN_SEPARATION_TAG, Bls, HashedMessage
from signer.crypto.bls.secret_key import CURVE_ORDER, SECRET_KEY_BYTES, SecretKey
from signer.errors import StartupError

__all__ = [
    "CURVE_ORDER",
    "DOMAIN_SEPARATION_TAG",
    "SECRET_KEY_BYTES",
    "Bls",
    "HashedMessage",
    "SecretKey",
    "load",
]


def _through_ckzg() -> Bls:
    from signer.crypto.bls.through_ckzg import CkzgBls

    return CkzgBls()


def _through_pyblst() -> Bls:
    from signer.crypto.bls.through_pyblst import PyblstBls

    return PyblstBls()


PREFERRED: tuple[Callable[[], Bls], ...] = (_through_ckzg, _through_pyblst)
"""Builders of an implementation, the fastest first."""


def load(builders: Sequence[Callable[[], Bls]] = PREFERRED) -> Bls:
    """The first implementation that can be built and passes its self-test.

    Raises:
        StartupError: none does; the sentence says what each one lacked.
    """
    faults: list[str] = []
    for build in builders:
        try:
            bls = build()
            check_known_answers(bls)
        except (ImportError, OSError, AttributeError, StartupError) as fault:
            faults.append(str(fault))
        else:
            return bls
    raise StartupError(
        "no BLS implementation works here: " + "; ".join(faults),
        remedy="reinstall the locked dependencies (ckzg, pyblst) for this platform",
    )
