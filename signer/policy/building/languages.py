"""Which language is built how, and with what."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from signer.errors import ConfigError
from signer.policy.building import assemblyscript, c, rego, rust, wat
from signer.policy.building.compiler import Built, Source
from signer.policy.folder import Folder
from signer.policy.manifest_file import Language

BUILDS: Mapping[Language, Callable[[Source], Built]] = MappingProxyType(
    {
        Language.RUST: rust.build,
        Language.ASSEMBLYSCRIPT: assemblyscript.build,
        Language.C: c.build,
        Language.WAT: wat.build,
        Language.REGO: rego.build,
    }
)

NEEDS: Mapping[Language, str] = MappingProxyType(
    {
        Language.RUST: f"Rust is built with rustc for wasm32. {rust.NEEDS}.",
        Language.ASSEMBLYSCRIPT: "AssemblyScript is built with asc: `npm install` in this folder brings the version"
        " that package.json names (it wants Node 20; on Debian 13: apt-get install nodejs npm).",
        Language.C: f"C is built with clang and lld. {c.NEEDS}.",
        Language.WAT: "WebAssembly's text format needs no other program.",
        Language.REGO: f"Rego is built with Open Policy Agent's own tool: {rego.NEEDS}.",
        Language.YAML: "Rules need no other program; the whole language: policies/rules.md.",
    }
)
"""What must be installed, for authors."""


def build_module(folder: Folder) -> Built | None:
    """The module of this folder's source; None where there is nothing to build: rules, or a module made elsewhere.

    Raises:
        ConfigError: the source is not there.
        PolicyToolMissingError: its compiler is not installed.
        PolicyBuildError: it does not build.
    """
    build = BUILDS.get(folder.language) if folder.language else None
    if build is None or folder.source is None:
        return None
    if not folder.source.is_file():
        raise ConfigError(
            f"{folder.source} is not there",
            where=str(folder.source),
            key="source",
            remedy="write it, or name the source under `source:` in the manifest",
        )
    return build(Source(folder.directory, folder.source, folder.manifest.entry_point))
