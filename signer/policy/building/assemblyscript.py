"""AssemblyScript: its own compiler `asc`, from npm."""

from pathlib import Path

from signer.policy.building.compiler import Built, Source, find_program, missing, output_file, read_module, run

VERSION = "0.28.20"
"""Of the compiler that is recommended, and that our own examples are built with."""

NEEDS = (
    f"in the policy's folder, or in one above it: npm install --save-exact assemblyscript@{VERSION}"
    " (it wants Node 20; on Debian 13: apt-get install nodejs npm)"
)
_ARGUMENTS = (
    "--runtime", "stub",  # nothing is freed: every decision has an instance of its own
    "--use", "abort=",  # otherwise it imports env.abort; what fails traps, and a trap denies
    "--optimizeLevel", "3", "--shrinkLevel", "1", "--converge",
)  # fmt: skip


def build(source: Source) -> Built:
    """The module. Raises PolicyToolMissingError, PolicyBuildError."""
    with output_file("policy.wasm") as output:
        arguments = (source.name, "--outFile", str(output), *_ARGUMENTS)
        said = run(_compiler(source.directory), arguments, source, remedy="correct the source")
        return Built(read_module(output), said)


def _compiler(directory: Path) -> Path:
    """As npm's own programs look for it: in this folder, in those above, on the path."""
    here = directory.resolve()
    for each in (here, *here.parents):
        installed = each / "node_modules" / ".bin" / "asc"
        if installed.exists():
            return installed
    program = find_program("asc")
    if program is None:
        raise missing("asc", language="AssemblyScript", remedy=NEEDS)
    return program
