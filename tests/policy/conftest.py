"""One engine for all tests of policies: it keeps much address space."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from wasmtime import Engine

from signer.policy.grants import NO_GRANTS, EmptyHost, Grants, Host
from signer.policy.limits import DEFAULT_LIMITS, Limits
from signer.policy.modules import Modules
from signer.policy.native import make_engine
from signer.policy.sandbox import Evaluation, LoadedPolicy, Sandbox

COMPILERS = Path(__file__).parents[2] / ".venv-policy-tools" / "bin"
"""What `make policies` installs; a program of the machine comes first."""


@pytest.fixture(scope="session", autouse=True)
def _compilers_on_the_path() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", f"{os.environ['PATH']}{os.pathsep}{COMPILERS}")
        yield


@pytest.fixture(scope="session")
def engine() -> Engine:
    return make_engine()


@pytest.fixture(scope="session")
def modules(engine: Engine) -> Modules:
    return Modules(engine)


@pytest.fixture(scope="session")
def sandbox(engine: Engine) -> Sandbox:
    return Sandbox(engine)


Decide = Callable[..., Evaluation]


@pytest.fixture(scope="session")
def decide(modules: Modules, sandbox: Sandbox) -> Decide:
    """Load a module's bytes and let it decide once."""

    def decided(
        module: bytes,
        facts: bytes = b"{}",
        *,
        grants: Grants = NO_GRANTS,
        limits: Limits = DEFAULT_LIMITS,
        host: Host | None = None,
    ) -> Evaluation:
        return sandbox.decide(
            LoadedPolicy(modules.load(module, grants), grants, limits), facts, EmptyHost() if host is None else host
        )

    return decided
