"""Tests on both event loops: the standard library's, and the one that the service runs on."""

import asyncio
import functools
import inspect
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
import uvloop

LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


def on_both_loops(test: Callable[..., Coroutine[Any, Any, None]]) -> Any:
    """An asynchronous test, run on each loop."""

    def run(loop: str, **arguments: Any) -> None:
        with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
            runner.run(test(**arguments))

    functools.update_wrapper(run, test)
    parameters = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY) for name in inspect.signature(test).parameters
    ]
    run.__signature__ = inspect.Signature([inspect.Parameter("loop", inspect.Parameter.KEYWORD_ONLY), *parameters])  # type: ignore[attr-defined]
    return pytest.mark.parametrize("loop", LOOPS)(run)
