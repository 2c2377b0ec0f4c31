"""The documents are in step with the program: codes, keys, commands and links that they name exist."""

import importlib
import pkgutil
import re
import shlex
from pathlib import Path

import pytest
import typer

from signer import api, errors
from signer.api.problems import Problem
from signer.cli.problem import USAGE_CODE
from signer.config.sections import Config
from signer.config.setting import leaves

ROOT = Path(__file__).resolve().parent.parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
TROUBLESHOOTING = ROOT / "docs" / "troubleshooting.md"

LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
CONFIGURATION_KEY = re.compile(
    r"`((?:server|storage|security|network|keys|journal|audit|policy|clock|logging|metrics|namespaces)"
    r"\.[a-z0-9_.\[\]]+)(?::[^`]*)?`"
)
COMMAND = re.compile(r"(?:^\s*|bin/)holdfast ([a-z][a-z0-9-]+)(?: ([a-z][a-z0-9-]+))?", re.MULTILINE)
FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


def error_codes() -> set[str]:
    classes = [
        each for each in vars(errors).values() if isinstance(each, type) and issubclass(each, errors.SignerError)
    ]
    return {each.code for each in classes} | {USAGE_CODE} | codes_of_problems()


def codes_of_problems() -> set[str]:
    """The codes of answers that are no error class: every `Problem(status, code, ...)` that the HTTP edge makes."""
    found = set()
    for module in pkgutil.iter_modules(api.__path__):
        made = vars(importlib.import_module(f"signer.api.{module.name}")).values()
        found |= {one.code for one in made if isinstance(one, Problem)}
        source = (ROOT / "signer" / "api" / f"{module.name}.py").read_text()
        found |= set(re.findall(r"\bProblem\(\s*\d+,\s*\"([A-Z_]+)\"", source))
    return found


def headings(page: Path) -> list[str]:
    return re.findall(r"^#{1,6} (.+)$", FENCE.sub("", page.read_text()), re.MULTILINE)


def anchor(heading: str) -> str:
    kept = re.sub(r"[^\w\- ]", "", heading.lower().strip())
    return kept.replace(" ", "-")


def test_every_error_code_has_its_cause_and_remedy_and_no_other_has():
    described = {heading for heading in headings(TROUBLESHOOTING) if re.fullmatch(r"[A-Z_]+", heading)}
    assert described == error_codes()


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_link_leads_somewhere(page):
    text = FENCE.sub("", page.read_text())
    for target in LINK.findall(text):
        if "://" in target or target.startswith("mailto:"):
            continue
        path, _, fragment = target.partition("#")
        destination = (page.parent / path).resolve() if path else page
        assert destination.exists(), f"{name_of(page)} links to {target}"
        if fragment:
            assert fragment in {anchor(heading) for heading in headings(destination)}, f"{name_of(page)}: {target}"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_configuration_key_that_is_named_exists(page):
    known = {leaf.key for leaf in leaves(Config)}
    sections = {key.rsplit(".", 1)[0] for key in known} | {key.split("[")[0] for key in known}
    for key in CONFIGURATION_KEY.findall(page.read_text()):
        assert key in known | sections, f"{name_of(page)} names {key}"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_command_that_is_named_exists(page):
    from typer.main import get_command

    from signer.cli.main import build

    commands = get_command(build(lambda: None, environ={})).commands
    code = "\n".join([*FENCE.findall(page.read_text()), *re.findall(r"`([^`]+)`", FENCE.sub("", page.read_text()))])
    for name, second in COMMAND.findall(code):
        assert name in commands, f"{name_of(page)} names `holdfast {name}`"
        group = getattr(commands[name], "commands", None)
        if group is not None and second:
            assert second in group, f"{name_of(page)} names `holdfast {name} {second}`"


STEPS = sorted(page for page in PAGES if page.parent.name == "migrating" or page.name == "backup-and-restore.md")
"""Pages that are followed line by line, when it matters."""


def command_lines(page: Path) -> list[list[str]]:
    """The words behind `holdfast` of each such line in the page's shell blocks and in its code spans with an option."""
    blocks = "\n".join(block for block in FENCE.findall(page.read_text()) if block.startswith("```sh"))
    spans = [span for span in re.findall(r"`([^`]+)`", FENCE.sub("", page.read_text())) if " --" in span]
    lines = [*blocks.replace("\\\n", " ").splitlines(), *(" ".join(span.split()) for span in spans)]
    split = (shlex.split(line, comments=True) for line in lines if "holdfast " in line)
    return [words[1:] for words in split if words and words[0] == "holdfast"]


@pytest.mark.parametrize("page", STEPS, ids=name_of)
def test_every_command_line_of_a_checklist_is_one_that_the_program_takes(page: Path) -> None:
    lines = command_lines(page)
    assert lines or page.name == "vero.md"
    for words in lines:
        parse_line(words)


@pytest.mark.parametrize(
    "line", ["keys impor x", "keys import", "migrate out --all", "migrate undo parcel --why x", "serve --bogus"]
)
def test_a_wrong_command_line_would_be_noticed(line: str) -> None:
    with pytest.raises(typer.TyperException):
        parse_line(line.split())


def parse_line(words: list[str]) -> None:
    """As the program does, down to the command, and without running it. Raises what it would tell of a wrong line."""
    from typer.main import get_command

    from signer.cli.global_options import hoist
    from signer.cli.main import build

    command, rest, parent = get_command(build(lambda: None, environ={})), list(hoist(words)), None
    while True:
        context = command.make_context(command.name or "holdfast", rest, parent=parent)
        if not hasattr(command, "resolve_command"):
            return
        rest = [*context._protected_args, *context.args]
        _, command, rest = command.resolve_command(context, rest)
        assert command is not None
        parent = context


KINDS_OF_CHANGE = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
"""Keep a Changelog 1.1.0."""


def test_the_changelog_has_the_headings_that_readers_and_tools_expect():
    text = (ROOT / "CHANGELOG.md").read_text()
    assert text.startswith("# Changelog\n")
    releases = re.findall(r"^## (.+)$", text, re.MULTILINE)
    assert releases[0] == "[Unreleased]"
    assert all(re.fullmatch(r"\[\d+\.\d+\.\d+\] - \d{4}-\d\d-\d\d", release) for release in releases[1:])
    assert set(re.findall(r"^### (.+)$", text, re.MULTILINE)) <= KINDS_OF_CHANGE


def test_the_decision_records_are_numbered_without_gaps_and_headed_by_their_number():
    records = sorted((ROOT / "docs" / "decisions").glob("*.md"))
    assert [record.name[:4] for record in records] == [f"{number:04}" for number in range(1, len(records) + 1)]
    for record in records:
        assert record.read_text().startswith(f"# {record.name[:4]} ")
