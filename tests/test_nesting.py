"""Deep JSON is refused before a parser follows it, whatever the interpreter's recursion limit is."""

import json
import random
import subprocess
import sys

import pytest

from signer.nesting import is_nested_deeper

RECURSION_LIMIT_RAISED = """
import sys
sys.setrecursionlimit(1_000_000)
from pathlib import Path
from signer.api.batch import entries_of
from signer.api.wire_json import decode_json_object
from signer.crypto.aead import Sealer
from signer.crypto.secret import Secret
from signer.errors import KeyFormatError, MalformedRequestError, StartupError
from signer.keys.data_key import KeyFileUnlock, open_data_key
from signer.keys.keystore_format import parse_keystore
from signer.keys.sealed_key import decode_file

def refused(kind, parse, text):
    try:
        parse(text)
    except kind as error:
        return error
    raise SystemExit(f"{parse} took it")

def open_vault(text):
    file = Path(sys.argv[1]) / "vault.json"
    file.write_bytes(text)
    file.chmod(0o600)
    open_data_key(file, KeyFileUnlock(file))

for deep in (b"[" * 500_000, b"[" * 500_000 + b"]" * 500_000, b'{"a":' * 500_000, b'["\\\\"",' * 500_000):
    refused(MalformedRequestError, decode_json_object, deep)
    refused(MalformedRequestError, decode_json_object, b'{"a":' + deep + b"}")
    refused(MalformedRequestError, entries_of, deep)
    refused(MalformedRequestError, entries_of, b"[" + deep + b"]")
    for text in (deep, b'{"version":4,"a":' + deep + b"}", b'{"a":' + deep + b"}"):
        refused(KeyFormatError, parse_keystore, text)
        if len(text) < 1 << 20:
            refused(StartupError, open_vault, text)
        assert decode_file(text + b"\\n" + text, Sealer(Secret(bytes(32)))).fault
print("alive")
"""


def test_no_parser_of_foreign_json_ends_the_process_when_a_library_raised_the_recursion_limit(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", RECURSION_LIMIT_RAISED, str(tmp_path)],
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (done.returncode, done.stdout) == (0, "alive\n"), done.stderr


def depth_of(value):
    if isinstance(value, dict):
        return 1 + max((depth_of(item) for item in [*value.values()]), default=0)
    if isinstance(value, list):
        return 1 + max((depth_of(item) for item in value), default=0)
    return 0


STRINGS = ["", "[", "]", "{", '"', "\\", '\\"', '["[', '"]', "[[[[[[", "\\\\", 'a"b', "x"]


def random_value(chance, levels):
    kind = chance.random()
    if levels == 0 or kind < 0.3:
        return chance.choice([*STRINGS, 1, None, True])
    if kind < 0.65:
        return [random_value(chance, levels - 1) for _ in range(chance.randrange(4))]
    return {
        chance.choice(STRINGS) + str(number): random_value(chance, levels - 1) for number in range(chance.randrange(4))
    }


def test_the_depth_of_a_json_text_is_told_exactly():
    chance = random.Random(7)
    seen = set()
    for _ in range(3000):
        value = random_value(chance, chance.randrange(9))
        depth = depth_of(value)
        seen.add(depth)
        text = json.dumps(value).encode()
        for levels in range(max(0, depth - 2), depth + 3):
            assert is_nested_deeper(text, levels=levels) is (depth > levels), (text, depth, levels)
    assert seen == set(range(9))


@pytest.mark.parametrize(
    ("text", "deeper"),
    [
        (b"[[[[", True),
        (b"[[[", False),
        (b"[[[[]", True),
        (b"[]" * 100, False),
        (b'["[[[[[[', False),
        (b'[[[[\\"', True),
    ],
)
def test_of_what_is_no_json_no_open_level_is_overlooked(text, deeper):
    assert is_nested_deeper(text, levels=3) is deeper
