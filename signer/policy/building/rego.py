"""Rego: Open Policy Agent's own tool compiles it to a bundle, and the module is in there."""

import tarfile
from pathlib import Path

from signer.errors import PolicyBuildError
from signer.policy.building.compiler import Built, Source, find_program, missing, output_file, run
from signer.policy.limits import MAX_MODULE_BYTES

VERSION = "1.22.2"
"""Of the tool that our own examples are built with."""

NEEDS = (
    f"go install github.com/open-policy-agent/opa@v{VERSION} (Go on Debian: apt-get install golang), or the program"
    " from openpolicyagent.org"
)
_OTHER_VERSION = f"take version {VERSION}: {NEEDS}"
_MODULE = "policy.wasm"


def build(source: Source) -> Built:
    """The module. Raises PolicyToolMissingError, PolicyBuildError."""
    if not source.entry_point:
        raise PolicyBuildError(
            "the manifest does not say which rule of the Rego decides",
            said="",
            remedy="add `entry_point: PACKAGE/RULE` to manifest.yaml",
        )
    compiler = find_program("opa")
    if compiler is None:
        raise missing("opa", language="Rego", remedy=NEEDS)
    with output_file("bundle.tar.gz") as output:
        written = ("--output", str(output), source.name)
        arguments = ("build", "--target", "wasm", "--entrypoint", source.entry_point, *written)
        said = run(compiler, arguments, source, remedy="correct the source, or the entry point in manifest.yaml")
        return Built(_module_in(output), said)


def _module_in(bundle: Path) -> bytes:
    try:
        with tarfile.open(bundle) as archive:
            for member in archive:
                if member.isfile() and member.name.lstrip("/") == _MODULE and member.size <= MAX_MODULE_BYTES:
                    content = archive.extractfile(member)
                    if content is not None:
                        return content.read()
    except (tarfile.TarError, OSError, EOFError) as error:
        raise PolicyBuildError(f"opa's bundle cannot be read: {error}", said="", remedy=_OTHER_VERSION) from None
    raise PolicyBuildError("opa has written a bundle without a module", said="", remedy=_OTHER_VERSION)
