"""Core dumps and attaching are switched off in the process that asks for it."""

import subprocess
import sys

PROGRAM = """
import ctypes, resource
from signer.backends.memory import forbid_core_dumps
PR_GET_DUMPABLE = 3
print(ctypes.CDLL(None).prctl(PR_GET_DUMPABLE, 0, 0, 0, 0))
forbid_core_dumps()
print(ctypes.CDLL(None).prctl(PR_GET_DUMPABLE, 0, 0, 0, 0), *resource.getrlimit(resource.RLIMIT_CORE))
"""


def test_a_process_that_forbids_core_dumps_is_not_dumpable_and_cannot_take_it_back():
    done = subprocess.run([sys.executable, "-c", PROGRAM], check=True, capture_output=True, text=True)
    assert done.stdout.split("\n")[:2] == ["1", "0 0 0"]
