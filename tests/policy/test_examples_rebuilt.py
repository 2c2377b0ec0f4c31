"""The examples in `policies/`: the modules in the tree, and what their sources make today, decide as cases say."""

import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from policy.compilers import compilers_or_skip

from signer.policy.building import assemblyscript, rego
from signer.policy.building.languages import build_module
from signer.policy.building.rust import DEBIAN_RUSTC
from signer.policy.cases import Case, coverage_of, judge, read_cases
from signer.policy.folder import Folder, pack_folder, read_folder
from signer.policy.manifest_file import Language
from signer.policy.mutation import check_mutants
from signer.policy.pack import Pack
from signer.policy.rules.rule import RuleFile
from signer.policy.verdict import Verdict
from signer.policy.workbench import Workbench

POLICIES = Path(__file__).parents[2] / "policies"
NAMES = sorted(manifest.parent.name for manifest in POLICIES.glob("*/manifest.yaml"))
BUILT = [name for name in NAMES if (POLICIES / name / "policy.wasm").exists()]

MOST_BYTES = 50_000
MOST_BYTES_OF_REGO = 200_000
"""Open Policy Agent's runtime is in each of its modules."""

MADE_WITH: dict[Language, tuple[tuple[str, ...], str]] = {
    Language.RUST: ((str(DEBIAN_RUSTC), "--version"), "rustc 1.63.0"),
    Language.C: (("clang", "--version"), "Debian clang version 14.0.6"),
    Language.ASSEMBLYSCRIPT: (("asc", "--version"), f"Version {assemblyscript.VERSION}"),
}
"""How to ask a compiler for its version, and what that of the modules in the tree says. The others are always the same:
wasmtime is locked, and of Open Policy Agent's compiler we build the version that we name."""

Verdicts = Callable[[Pack, Folder], list[Verdict]]


def folder_of(name: str) -> Folder:
    return read_folder(POLICIES / name)


def cases_of(folder: Folder) -> tuple[Case, ...]:
    return read_cases(folder.cases.read_text(), name=str(folder.cases))


@pytest.fixture(scope="module")
def bench() -> Iterator[Workbench]:
    with Workbench() as made:
        yield made


@pytest.fixture(scope="module")
def verdicts(bench: Workbench) -> Verdicts:
    """What a policy says to each of its cases."""

    def asked(pack: Pack, folder: Folder) -> list[Verdict]:
        opened = bench.open(pack, name=pack.manifest.name)
        return [bench.ask(opened, case.facts, case.given).verdict for case in cases_of(folder)]

    return asked


@pytest.fixture
def rebuilt(tmp_path: Path) -> Callable[[str], bytes]:
    """The module that an example's source makes, in another place of the disk."""

    def built(name: str) -> bytes:
        elsewhere = tmp_path / "somewhere" / "else"
        shutil.copytree(POLICIES / "sdk", elsewhere / "sdk")
        shutil.copytree(POLICIES / name, elsewhere / name, ignore=shutil.ignore_patterns("*.wasm"))
        with compilers_or_skip():
            found = build_module(read_folder(elsewhere / name))
        assert found is not None
        assert found.said == "", "an example builds without a warning"
        return found.module

    return built


def test_there_is_an_example_of_every_language() -> None:
    assert {folder_of(name).language for name in NAMES} == set(Language)


@pytest.mark.parametrize("name", NAMES)
def test_an_example_is_named_after_its_folder(name: str) -> None:
    folder = folder_of(name)
    assert folder.manifest.name == name
    assert folder.manifest.description


@pytest.mark.parametrize("name", NAMES)
def test_what_is_in_the_tree_decides_as_its_cases_say(name: str, verdicts: Verdicts) -> None:
    folder = folder_of(name)
    found = zip(cases_of(folder), verdicts(pack_folder(folder), folder), strict=True)
    assert {case.name: differs for case, verdict in found if (differs := judge(case, verdict).differs)} == {}


@pytest.mark.parametrize("name", NAMES)
def test_every_kind_of_denial_that_a_source_writes_has_a_case(name: str) -> None:
    folder = folder_of(name)
    assert folder.source is not None
    source = re.sub(r"(?m)^\s*(//|/\*|\*|;;|#).*", "", folder.source.read_text())
    written = set(re.findall(r'(?:deny\(\s*|\\"code\\":\\)"([A-Z][A-Z0-9_]+)\\?"', source))
    expected = {case.code for case in cases_of(folder) if case.verdict == "deny"}
    assert len(written) >= 3 or folder.language is Language.YAML
    assert written - {"FACTS_OF_ANOTHER_VERSION"} <= expected, "facts in cases are always of this version"
    assert None not in expected, "a case that expects a denial says which"


@pytest.mark.parametrize("name", [name for name in NAMES if name not in BUILT])
def test_no_edit_of_rules_goes_unnoticed_by_their_cases(name: str, bench: Workbench) -> None:
    folder = folder_of(name)
    rules = bench.open(pack_folder(folder), name=name).decider
    assert isinstance(rules, RuleFile)
    cases = cases_of(folder)
    assert [each for each in coverage_of(rules, cases) if each.missing] == []
    assert [(each.rule, each.change) for each in check_mutants(rules, cases).survivors] == []


@pytest.mark.parametrize("name", BUILT)
def test_an_example_is_small(name: str) -> None:
    folder = folder_of(name)
    most = MOST_BYTES_OF_REGO if folder.language is Language.REGO else MOST_BYTES
    assert folder.content.stat().st_size <= most


@pytest.mark.parametrize("name", BUILT)
def test_a_source_built_today_decides_like_the_module_in_the_tree(
    name: str, rebuilt: Callable[[str], bytes], verdicts: Verdicts
) -> None:
    folder = folder_of(name)
    module = rebuilt(name)
    assert verdicts(pack_folder(folder, content=module), folder) == verdicts(pack_folder(folder), folder)
    if has_same_compiler(folder):
        assert module == folder.content.read_bytes(), f"`holdfast policy build policies/{name}` makes another module"


def has_same_compiler(folder: Folder) -> bool:
    """Is what compiled just now what compiled the module in the tree?"""
    if folder.language is None or folder.language not in MADE_WITH:
        return folder.language is not Language.REGO or is_our_opa()
    command, version = MADE_WITH[folder.language]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return said.startswith(version)


def is_our_opa() -> bool:
    """An `opa` of the machine may be of another version; ours does not tell one, being made for this."""
    program = shutil.which("opa")
    assert program is not None
    said = subprocess.run([program, "version"], capture_output=True, text=True, check=False)
    return said.returncode != 0 or f"Version: {rego.VERSION}" in said.stdout
