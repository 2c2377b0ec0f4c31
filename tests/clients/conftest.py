"""A signer that serves the test network of `spec_duties`, with one key for each client."""

import contextlib
import os
from collections.abc import Callable, Iterator

import pytest
from client_manner import Connection
from client_network import network_sections
from running import RunningSigner, interop_secret, running_signer
from six_clients import CLIENTS
from spec_duties import ORACLE_PYTHON


@pytest.fixture(scope="session", autouse=True)
def specification() -> None:
    """The consensus specification in its own environment; CI must have it."""
    if not ORACLE_PYTHON.exists():
        if os.environ.get("CI"):
            pytest.fail(f"CI must compare with the consensus specification; none at {ORACLE_PYTHON} (`make oracles`)")
        pytest.skip(f"no consensus specification at {ORACLE_PYTHON}; run `make oracles`")


@pytest.fixture(scope="module")
def signer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSigner]:
    """A signer over plain HTTP."""
    directory = tmp_path_factory.mktemp("signer")
    secrets = [interop_secret(number) for number in range(len(CLIENTS))]
    with running_signer(directory, secrets=secrets, sections=network_sections(directory)) as running:
        yield running


@pytest.fixture
def connect() -> Iterator[Callable[..., Connection]]:
    """Opens connections and closes them after the test."""
    with contextlib.ExitStack() as opened:
        yield lambda *arguments: opened.enter_context(contextlib.closing(Connection(*arguments)))
