"""How this process runs Python: who may hold the interpreter, and how often rubbish is looked for."""

import gc
import sys

SWITCH_INTERVAL_SECONDS = 0.002
"""How long a thread may hold the interpreter while another asks for it.

Python's own 5 ms let one long decoding delay every other request by as much. Shorter than 2 ms costs more than it
gives: each change of threads is two wake-ups, and a signing thread asks once for every signature (measured with
`make bench ROWS=slot`: 0.5 ms takes a tenth of the throughput, 0.05 ms a fifth).
"""

YOUNG_OBJECTS = 20_000
"""Containers made since the last look for reference cycles before the next one.

Python's own 700 is reached after some thirty requests, none of which leaves a cycle: 3 % of all processor time.
"""


def tune_interpreter() -> None:
    """Once, before the event loop runs: what is imported by now stays, so that no later look walks through it."""
    sys.setswitchinterval(SWITCH_INTERVAL_SECONDS)
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS, 10, 10)
