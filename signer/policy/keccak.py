"""Keccak-256 as Ethereum uses it: with Keccak's own padding, before NIST changed it for SHA-3 (keccak.team, reference).

Nothing that we ship computes it, and Python alone would take 0.8 ms for a block of 136 bytes. The engine of the
policies is here anyway: the permutation is a small WebAssembly module of our own, which takes 2 us for a block.
"""

import ctypes
import weakref
from functools import cache
from itertools import product

from wasmtime import Engine, Linker, Module, wat2wasm

from signer.policy import native

BLOCK_BYTES = 136
"""The rate of Keccak-256."""

_LANES = 25
_ROUNDS = 24
_STATE_AT = 192
_BLOCKS_AT = 1024
_BLOCKS_AT_ONCE = 400
_DIGEST_BYTES = 32
_FUEL = 2**62
"""The engine meters everything; this module is ours and ends."""


class Keccak256:
    """Computes digests. Owned by one thread: there is one state, in an instance that lives as long as this does."""

    def __init__(self, engine: Engine) -> None:
        module = Module(engine, _module())
        prepared = Linker(engine).instantiate_pre(module)
        self._holds = (engine, module, prepared)
        store = native.store_new(native.address(engine.ptr()), None, None)
        weakref.finalize(self, native.store_delete, store)
        self._context = native.store_context(store)
        native.set_fuel(self._context, _FUEL)
        native.set_epoch_deadline(self._context, _FUEL)
        instance, self._externs = native.Instance(), (native.Extern(), native.Extern())
        self._values, self._trap = (native.Value * 1)(), ctypes.c_void_p()
        at = ctypes.addressof(instance)
        if native.instantiate(native.address(prepared.ptr()), self._context, at, ctypes.addressof(self._trap)):
            raise RuntimeError("wasmtime does not start our own module")
        for extern, name in zip(self._externs, (b"memory", b"absorb"), strict=True):
            native.export_get(self._context, at, name, len(name), ctypes.addressof(extern))
        self._memory, self._absorb = (ctypes.addressof(each) + native.PLACE for each in self._externs)

    def digest(self, message: bytes) -> bytes:
        """The 32-byte digest."""
        padding = bytearray(BLOCK_BYTES - len(message) % BLOCK_BYTES)
        padding[0] |= 0x01
        padding[-1] |= 0x80
        padded = bytes(message) + padding
        base = native.memory_data(self._context, self._memory)
        ctypes.memset(base + _STATE_AT, 0, 8 * _LANES)
        for start in range(0, len(padded), _BLOCKS_AT_ONCE * BLOCK_BYTES):
            piece = padded[start : start + _BLOCKS_AT_ONCE * BLOCK_BYTES]
            native.memmove(base + _BLOCKS_AT, piece, len(piece))
            self._permute(len(piece) // BLOCK_BYTES)
        return ctypes.string_at(base + _STATE_AT, _DIGEST_BYTES)

    def _permute(self, blocks: int) -> None:
        native.set_fuel(self._context, _FUEL)
        self._values[0].i64 = blocks
        error = native.call(
            self._context, self._absorb, ctypes.addressof(self._values), 1, ctypes.addressof(self._trap)
        )
        if error or self._trap.value is not None:
            raise RuntimeError("our own module stopped")


@cache
def _module() -> bytes:
    """Round constants at 0, the state behind them, blocks at 1,024. One round is written out; the rest are loops."""
    lanes = " ".join(f"(local $a{i} i64) (local $b{i} i64)" for i in range(_LANES))
    columns = " ".join(f"(local $c{x} i64) (local $d{x} i64)" for x in range(5))
    constants = "".join(f"\\{byte:02x}" for constant in _round_constants() for byte in constant.to_bytes(8, "little"))
    load = " ".join(f"(local.set $a{i} (i64.load (i32.const {_STATE_AT + 8 * i})))" for i in range(_LANES))
    store = " ".join(f"(i64.store (i32.const {_STATE_AT + 8 * i}) (local.get $a{i}))" for i in range(_LANES))
    add = " ".join(
        f"(local.set $a{i} (i64.xor (local.get $a{i}) (i64.load offset={8 * i} (local.get $at))))"
        for i in range(BLOCK_BYTES // 8)
    )
    return bytes(
        wat2wasm(
            f"""(module (memory (export "memory") 1) (data (i32.const 0) "{constants}")
            (func (export "absorb") (param $blocks i32) (local $at i32) (local $round i32) {lanes} {columns}
              {load} (local.set $at (i32.const {_BLOCKS_AT}))
              (loop $block {add} (local.set $round (i32.const 0))
                (loop $again {_round()}
                  (br_if $again (i32.lt_u
                    (local.tee $round (i32.add (local.get $round) (i32.const 8))) (i32.const {8 * _ROUNDS}))))
                (local.set $at (i32.add (local.get $at) (i32.const {BLOCK_BYTES})))
                (br_if $block (local.tee $blocks (i32.sub (local.get $blocks) (i32.const 1)))))
              {store}))"""
        )
    )


def _round() -> str:
    """theta, rho and pi, chi, iota; lane (x, y) is number x + 5y."""
    theta = [
        f"(local.set $c{x} (i64.xor (local.get $a{x}) (i64.xor (local.get $a{x + 5}) (i64.xor (local.get $a{x + 10})"
        f" (i64.xor (local.get $a{x + 15}) (local.get $a{x + 20}))))))"
        for x in range(5)
    ]
    theta += [
        f"(local.set $d{x} (i64.xor (local.get $c{(x + 4) % 5}) (i64.rotl (local.get $c{(x + 1) % 5}) (i64.const 1))))"
        for x in range(5)
    ]
    moved = [
        f"(local.set $b{target} (i64.rotl (i64.xor (local.get $a{source}) (local.get $d{source % 5}))"
        f" (i64.const {turn})))"
        for source, target, turn in _moves()
    ]
    chi = [
        f"(local.set $a{i} (i64.xor (local.get $b{i}) (i64.and (i64.xor (local.get $b{_beside(i, 1)}) (i64.const -1))"
        f" (local.get $b{_beside(i, 2)}))))"
        for i in range(_LANES)
    ]
    iota = "(local.set $a0 (i64.xor (local.get $a0) (i64.load (local.get $round))))"
    return " ".join((*theta, *moved, *chi, iota))


def _beside(lane: int, steps: int) -> int:
    """The lane so many steps to the right in the same row."""
    return lane - lane % 5 + (lane + steps) % 5


def _moves() -> tuple[tuple[int, int, int], ...]:
    """Steps rho and pi in one: from which lane, to which, turned by how many bits."""
    turns = {(0, 0): 0}
    x, y = 1, 0
    for step in range(24):
        turns[x, y] = (step + 1) * (step + 2) // 2 % 64
        x, y = y, (2 * x + 3 * y) % 5
    return tuple((x + 5 * y, y + 5 * ((2 * x + 3 * y) % 5), turns[x, y]) for x, y in product(range(5), repeat=2))


def _round_constants() -> tuple[int, ...]:
    """Constants of step iota, from the reference's linear feedback shift register."""
    register, constants = 1, []
    for _ in range(_ROUNDS):
        constant = 0
        for bit in range(7):
            constant |= (register & 1) << (2**bit - 1)
            register = register << 1 ^ (0x171 if register & 0x80 else 0)
        constants.append(constant)
    return tuple(constants)
