"""Rust: one crate without Cargo, for wasm32-unknown-unknown, which has no operating system below it."""

import subprocess
from pathlib import Path

from signer.policy.building.compiler import Built, Source, find_program, missing, output_file, read_module, run

DEBIAN_RUSTC = Path("/usr/bin/rustc")
"""Looked at first: rustup puts a program of the same name in front of it that may lack the target."""

TARGET = "wasm32-unknown-unknown"
STACK_BYTES = 65536

NEEDS = (
    "Debian: apt-get install rustc libstd-rust-dev-wasm32 lld; with rustup: rustup target add wasm32-unknown-unknown"
)
_ARGUMENTS = (
    "--edition=2021", f"--target={TARGET}", "--crate-type=cdylib", "--crate-name=policy",
    "-Copt-level=s", "-Clto=fat", "-Ccodegen-units=1", "-Cstrip=symbols",
    "-Cpanic=abort",  # a panic is a trap, and a trap denies
    f"-Clink-arg=-zstack-size={STACK_BYTES}",  # a megabyte would be cleared for every decision
)  # fmt: skip


def build(source: Source) -> Built:
    """The module. Raises PolicyToolMissingError, PolicyBuildError."""
    with output_file("policy.wasm") as output:
        said = run(_compiler(), [*_ARGUMENTS, "-o", str(output), source.name], source, remedy="correct the source")
        return Built(read_module(output), said)


def _compiler() -> Path:
    """The first rustc that has the target's library."""
    for each in (DEBIAN_RUSTC, find_program("rustc")):
        if each is not None and each.exists() and _has_target(each):
            return each
    raise missing(f"rustc with the target {TARGET}", language="Rust", remedy=NEEDS)


def _has_target(compiler: Path) -> bool:
    asked = subprocess.run(  # noqa: S603 - the compiler itself, with fixed arguments
        [compiler, "--print", "target-libdir", "--target", TARGET],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    return asked.returncode == 0 and Path(asked.stdout.decode(errors="replace").strip()).is_dir()
