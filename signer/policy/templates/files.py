"""The files that a new policy begins with."""

from collections.abc import Iterator, Mapping
from importlib.resources import files
from importlib.resources.abc import Traversable
from string import Template
from types import MappingProxyType

from signer.policy.building.languages import NEEDS
from signer.policy.manifest_file import SOURCES, Language

_SHARED_CASES = "payments.cases.yaml"
"""Of the templates that decide the same."""

_LIBRARIES: Mapping[Language, str] = MappingProxyType(
    {Language.RUST: ".rs", Language.C: ".h", Language.ASSEMBLYSCRIPT: ".ts"}
)
"""Languages with a library for authors, and what its files end in. It becomes a folder of the policy's own, so that
nothing changes it later."""

_LIBRARY = "holdfast"

_FURTHER: Mapping[Language, str] = MappingProxyType(
    {
        **dict.fromkeys(_LIBRARIES, f"- `{_LIBRARY}/`: the library that reads facts and writes verdicts\n"),
        Language.REGO: "- `data.json`: what the rules look up\n",
    }
)
_FIRST_CASE: Mapping[Language, str] = MappingProxyType({Language.WAT: "an attestation"})
_PAYMENT = "an ordinary payment counts for the day"


def template_files(language: Language, *, name: str) -> dict[str, str]:
    """The texts of a new policy's files, by their names in its folder."""
    root = files(__package__)
    found = {each.name: _text(each) for each in (root / language).iterdir() if each.is_file()}
    if "cases.yaml" not in found:
        found["cases.yaml"] = _text(root / _SHARED_CASES)
    if language in _LIBRARIES:
        found |= {f"{_LIBRARY}/{path}": text for path, text in _library(root / "sdk" / language, _LIBRARIES[language])}
    found["manifest.yaml"] = Template(found["manifest.yaml"]).substitute(name=name)
    found["README.md"] = _readme(root / "README.md", language, name=name)
    return found


def _readme(file: Traversable, language: Language, *, name: str) -> str:
    case = _FIRST_CASE.get(language, _PAYMENT)
    explain = f'holdfast policy explain --case "{case}"\n' if language is Language.YAML else ""
    return Template(_text(file)).substitute(
        name=name,
        source=SOURCES[language],
        further=_FURTHER.get(language, ""),
        case=case,
        explain=explain,
        needs=NEEDS[language],
    )


def _library(folder: Traversable, suffix: str) -> Iterator[tuple[str, str]]:
    for each in folder.iterdir():
        if each.name.endswith(suffix):
            yield each.name, _text(each)


def _text(file: Traversable) -> str:
    return file.read_text(encoding="utf-8")
