"""The backend for a URI: `software:` keeps private keys in this process."""

from collections.abc import Callable

from signer.backends.backend import Backend
from signer.backends.software import SoftwareBackend
from signer.crypto.bls import Bls, SecretKey
from signer.errors import StartupError

BUILDERS: dict[str, Callable[[Bls, int | None], Backend[SecretKey]]] = {
    "software": lambda bls, threads: SoftwareBackend(bls, threads=threads),
}
"""Each scheme's builder. A new backend is one line here and one file."""


def build_backend(uri: str, bls: Bls, *, threads: int | None = None) -> Backend[SecretKey]:
    """The backend a URI names. `threads` is None for one on each core.

    Raises:
        StartupError: no such scheme.
    """
    scheme, _, _ = uri.partition(":")
    if scheme not in BUILDERS:
        known = ", ".join(f"{name}:" for name in sorted(BUILDERS))
        raise StartupError(f"no backend for {uri!r}", remedy=f"begin with one of {known}")
    return BUILDERS[scheme](bls, threads)
