"""Policies written by hand in WebAssembly's text format, for the tests of the engine."""

from wasmtime import wat2wasm

PLAIN_ALLOW = '{"verdict":"allow"}'
ANSWER_AT = 16
FACTS_AT = 4096

BUMP = f'(func (export "holdfast_allocate") (param i32) (result i32) i32.const {FACTS_AT})'


def quoted(text: str | bytes) -> str:
    """A string of the text format."""
    data = text.encode() if isinstance(text, str) else text
    return '"' + "".join(f"\\{byte:02x}" for byte in data) + '"'


def place(start: int, length: int) -> str:
    """The result of a policy: where its verdict is, as a constant."""
    return f"(i64.const {start << 32 | length})"


def answering(text: str | bytes = PLAIN_ALLOW) -> str:
    """The result of a policy whose verdict stands where `policy` puts it."""
    return place(ANSWER_AT, len(text.encode() if isinstance(text, str) else text))


def policy(
    body: str | None = None,
    *,
    answer: str | bytes = PLAIN_ALLOW,
    allocate: str = BUMP,
    pages: str = "1",
    rest: str = "",
) -> bytes:
    """A module with version 1 of the interface. `body` is what decides; `rest` is whatever else it has.

    In the body, local 0 and 1 are the place of the facts, 2 and 3 are free numbers.
    """
    body = answering(answer) if body is None else body
    return bytes(
        wat2wasm(
            f"""(module
              {rest}
              (memory (export "memory") {pages})
              (data (i32.const {ANSWER_AT}) {quoted(answer)})
              {allocate}
              (func (export "holdfast_evaluate_1") (param i32 i32) (result i64) (local i32 i32) {body}))"""
        )
    )


ECHO = policy("(i64.or (i64.shl (i64.extend_i32_u (local.get 0)) (i64.const 32)) (i64.extend_i32_u (local.get 1)))")
"""Answers its facts: whatever is given to it is its verdict."""

COUNTING = (
    "(loop $again (br_if $again (i32.lt_u (local.tee 2 (i32.add (local.get 2) (i32.const 1))) (i32.const {})))){}"
)
"""A loop of so many turns and what comes after it."""


def rego_like(
    evaluate: str = "(local.get 3)",
    *,
    builtins: str | bytes = "{}",
    entry_points: str | bytes = '{"a/b":0}',
    allocate: str = "(i32.const 8192)",
    rest: str = "",
) -> bytes:
    """A module with Open Policy Agent's interface. As it is, it answers its facts; parameter 3 is their place."""
    return bytes(
        wat2wasm(
            f"""(module
              {rest}
              (import "env" "memory" (memory 4))
              (export "memory" (memory 0))
              (data (i32.const 64) {quoted(builtins)}) (data (i32.const 2048) {quoted(entry_points)})
              (func (export "opa_malloc") (param i32) (result i32) {allocate})
              (func (export "opa_heap_ptr_get") (result i32) (i32.const 8192))
              (func (export "opa_json_parse") (param i32 i32) (result i32) (i32.const 1))
              (func (export "opa_eval") (param i32 i32 i32 i32 i32 i32 i32) (result i32) {evaluate})
              (func (export "builtins") (result i32) (i32.const 64))
              (func (export "entrypoints") (result i32) (i32.const 2048))
              (func (export "opa_json_dump") (param i32) (result i32) (local.get 0)))"""
        )
    )
