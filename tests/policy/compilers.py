"""Compilers are programs of the machine: a test that needs one that is missing says so."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from signer.errors import PolicyToolMissingError

FROM_DEBIAN = ("clang", "wasm-ld", "rustc")
"""Those that `.ci/counterparts` installs: in CI they must be there."""


@contextmanager
def compilers_or_skip() -> Iterator[None]:
    """Skip the test where the block misses a compiler."""
    try:
        yield
    except PolicyToolMissingError as missing:
        told = f"{missing.sentence}: {missing.remedy}"
        if os.environ.get("CI") and missing.program.startswith(FROM_DEBIAN):
            pytest.fail(f"CI must have it. {told}")
        pytest.skip(told)
