"""Running signers with policies on record, and the policies that several tests bind."""

import asyncio
import contextlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from operations.policies_on_record import put
from policy.policy_packs import module_pack, rules_pack
from policy.wat_policies import answering, quoted
from policy.wat_policies import policy as wat_policy
from running import RunningSigner, set_up, write_configuration, write_raw_keys

from signer.app.keeping import open_kept_record
from signer.clock import SystemClock
from signer.config.chain import read_network
from signer.config.load import load_config
from signer.events import Events
from signer.policy.bindings import Target
from signer.policy.grants import HostFunction

ALLOWS = rules_pack("allows", text="version: 1\notherwise: allow\ndeny:\n  - {name: none, types: [DEPOSIT]}\n")
NO_BLOCKS = rules_pack(
    "no-blocks", text="version: 1\notherwise: allow\ndeny:\n  - {name: blocks, types: [BLOCK_V2], message: never}\n"
)
TRAPS = module_pack(wat_policy("unreachable"), "traps")
BURNS = module_pack(wat_policy("(loop $again (br $again)) (i64.const 0)"), "burns", fuel=1_000_000_000)


def limited(name: str, uses: int, *, window: str = "lifetime") -> bytes:
    """A file of rules that lets so many be signed."""
    text = (
        "version: 1\notherwise: allow\nrequire:\n"
        f"  - {{name: limit, uses: [{{at_most: {uses}, window: {window}, per: policy}}]}}\n"
    )
    return rules_pack(name, text=text)


_RESERVES = '{"verdict":"allow","reserve":[{"counter":"uses","window_seconds":0,"amount":"1","limit":"1000"}]}'
_ASK = "(call $ask (i32.const 600) (i32.const 4) (i32.const 0) (i32.const 1000))"
_READS = (
    '(import "holdfast" "read_counter" (func $ask (param i32 i32 i32 i32) (result i32)))'
    f" (data (i32.const 600) {quoted('uses')})"
)


def _counting(name: str, body: str) -> bytes:
    module = wat_policy(body + answering(_RESERVES), answer=_RESERVES, rest=_READS)
    return module_pack(module, name, functions=(HostFunction.READ_COUNTER,), counters=("uses",))


UNUSED_ONLY = _counting(
    "unused-only",
    f"(drop {_ASK}) (if (i32.ne (i32.load8_u (i32.const 1000)) (i32.const 48)) (then (unreachable)))",
)
"""Reads its counter, traps unless it is at nothing, and spends one."""

READS = _counting("reads", f"(drop {_ASK})")
"""Reads its counter whatever it says, and spends one."""


def put_on_record(config_file: Path, packs: Iterable[bytes], bindings: Iterable[tuple[str, Target]]) -> None:
    """These policies decide from now on; of a record that lies in the directory, no signer may be running."""
    config = load_config(config_file, environ={}, flags={})
    deaths: list[Exception] = []
    network, clock = read_network(config.network), SystemClock()
    record = open_kept_record(config, network, clock, events=Events(), on_death=deaths.append)
    try:
        asyncio.run(put(record.writer, packs, bindings))
    finally:
        record.close()
    assert deaths == []


@contextlib.contextmanager
def policy_signer(
    directory: Path,
    packs: Iterable[bytes],
    bindings: Iterable[tuple[str, Target]],
    *,
    secrets: Iterable[int],
    sections: Mapping[str, Any] | None = None,
    environment: Mapping[str, str | None] | None = None,
) -> Iterator[RunningSigner]:
    """A ready signer with these keys, which has found these policies on record."""
    config_file = write_configuration(directory, sections or {})
    settings = json.loads(config_file.read_text())
    write_raw_keys(Path(settings["keys"]["config_directory"]), secrets)
    set_up(config_file)
    os.chmod(directory, 0o700)
    put_on_record(config_file, packs, bindings)
    signer = RunningSigner(config_file, environment=environment)
    try:
        signer.wait_until_ready()
        yield signer
    finally:
        if signer.process.poll() is None:
            signer.stop()
