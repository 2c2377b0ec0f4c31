"""What a new policy begins with builds, passes its cases, and says what it needs."""

from pathlib import Path

import pytest
from policy.compilers import compilers_or_skip

from signer.policy.building.languages import NEEDS, build_module
from signer.policy.cases import coverage_of, judge, read_cases
from signer.policy.folder import Folder, pack_folder, read_folder
from signer.policy.manifest_file import Language
from signer.policy.mutation import check_mutants
from signer.policy.rules.rule import RuleFile
from signer.policy.templates import files
from signer.policy.templates.files import template_files
from signer.policy.workbench import Workbench


def written(directory: Path, language: Language) -> Folder:
    """The folder of a new policy."""
    for path, text in template_files(language, name="my-policy").items():
        (directory / path).parent.mkdir(parents=True, exist_ok=True)
        (directory / path).write_text(text)
    return read_folder(directory)


@pytest.mark.parametrize("language", Language)
def test_a_template_says_whose_it_is_and_what_it_needs(tmp_path: Path, language: Language) -> None:
    folder = written(tmp_path, language)
    assert (folder.manifest.name, folder.language) == ("my-policy", language)
    readme = (tmp_path / "README.md").read_text()
    assert NEEDS[language] in readme
    assert "$" not in readme
    first = read_cases(folder.cases.read_text(), name="cases.yaml")[0]
    assert f'--case "{first.name}"' in readme
    assert len(template_files(language, name="a")) >= 4


@pytest.mark.parametrize("language", Language)
def test_a_template_builds_and_decides_as_its_cases_say(tmp_path: Path, language: Language) -> None:
    folder = written(tmp_path, language)
    with compilers_or_skip():
        built = build_module(folder)
    cases = read_cases(folder.cases.read_text(), name="cases.yaml")
    with Workbench() as bench:
        opened = bench.open(pack_folder(folder, content=built.module if built else None), name="policy")
        differing = {
            case.name: differs
            for case in cases
            if (differs := judge(case, bench.ask(opened, case.facts, case.given).verdict).differs)
        }
    assert differing == {}
    assert len({case.verdict for case in cases}) >= 2
    if isinstance(opened.decider, RuleFile):
        assert [each for each in coverage_of(opened.decider, cases) if each.missing] == []
        assert check_mutants(opened.decider, cases).survivors == ()


def test_the_libraries_of_templates_are_those_of_the_examples() -> None:
    """The package carries them; the examples find them beside themselves, by a link."""
    sdk = Path(__file__).resolve().parents[2] / "policies" / "sdk"
    assert sdk.resolve() == Path(files.__file__).parent / "sdk"
    for language in (Language.RUST, Language.C, Language.ASSEMBLYSCRIPT):
        library = {name for name in template_files(language, name="a") if name.startswith("holdfast/")}
        assert len(library) > 4
        assert all((sdk / language / Path(name).name).is_file() for name in library)
