"""C: clang and lld, without a C library."""

from signer.policy.building.compiler import Built, Source, find_program, missing, output_file, read_module, run

STACK_BYTES = 65536

NEEDS = "Debian: apt-get install clang lld"
_ARGUMENTS = (
    "--target=wasm32", "-std=c11", "-O2", "-Wall", "-Wextra",
    "-ffreestanding", "-nostdlib",
    "-mbulk-memory",  # copies and clears of memory are instructions, since there is no memcpy to call
    "-fvisibility=hidden",
    "-Wl,--no-entry", "-Wl,--strip-all",
    "-Wl,--stack-first", f"-Wl,-z,stack-size={STACK_BYTES}",  # a stack that grows too far traps, and spoils no data
)  # fmt: skip


def build(source: Source) -> Built:
    """The module. Raises PolicyToolMissingError, PolicyBuildError."""
    compiler, linker = find_program("clang"), find_program("wasm-ld")
    if compiler is None or linker is None:
        raise missing("clang" if compiler is None else "wasm-ld", language="C", remedy=NEEDS)
    with output_file("policy.wasm") as output:
        said = run(compiler, [*_ARGUMENTS, "-o", str(output), source.name], source, remedy="correct the source")
        return Built(read_module(output), said)
