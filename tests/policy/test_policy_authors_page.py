"""`docs/policy-authors.md` line by line, once in each language: what a newcomer types, and what is told."""

import contextlib
import http.client
import io
import os
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from policy.compilers import compilers_or_skip
from running import HOLDFAST, REPOSITORY, START_SECONDS, STOP_SECONDS, free_port

from signer.app import App
from signer.cli.main import run
from signer.cli.problem import EXIT_USAGE
from signer.errors import PolicyToolMissingError
from signer.policy.building.languages import NEEDS
from signer.policy.cases import read_cases
from signer.policy.manifest_file import Language
from signer.policy.mutation import check_mutants
from signer.policy.rules.file import read_rule_file

PAGE = REPOSITORY / "docs" / "policy-authors.md"
PORT = "127.0.0.1:9000"
"""Where the page finds the signer; a test's listens elsewhere."""

OTHER_PORTS = re.compile(r"--set server\.port=9100 --set metrics\.port=9101")
"""What the page adds to `init` where its ports are taken."""

RULES_ONLY = "# rules only"
MODULES_ONLY = "# modules only"
NO_RULES = "a module has no rules that could be shown"
"""What a module's author is told who types a line for rules all the same; the page says so too."""

HEADINGS = {
    Language.YAML: "YAML rules",
    Language.REGO: "Rego",
    Language.RUST: "Rust",
    Language.ASSEMBLYSCRIPT: "AssemblyScript",
    Language.C: "C",
    Language.WAT: "WAT",
}
COMPILER = {Language.RUST: "rustc", Language.C: "clang", Language.ASSEMBLYSCRIPT: "asc", Language.REGO: "opa"}

NEAR = 0.5
"""How far a figure of the page may be off: another compiler makes other modules."""

LINE_SECONDS = 300.0


@dataclass(frozen=True)
class Block:
    """A block of the page."""

    section: str
    subsection: str
    file: str
    """Where the reader writes it; empty where it is shell or what is told."""

    kind: str
    text: str


def read_blocks() -> list[Block]:
    found, section, subsection = [], "", ""
    heading = r"^## (?P<section>[^\n]+)$|^### (?P<sub>[^\n]+)$"
    mark = heading + r"|^(?:`(?P<file>[^`\n]+)`:\n\n)?```(?P<kind>\w+)\n(?P<text>.*?)^```$"
    for each in re.finditer(mark, PAGE.read_text(), re.MULTILINE | re.DOTALL):
        if each["section"]:
            section, subsection = each["section"], ""
        elif each["sub"]:
            subsection = each["sub"]
        else:
            found.append(Block(section, subsection, each["file"] or "", each["kind"], each["text"]))
    return found


BLOCKS = read_blocks()
FIRST = BLOCKS[0].section
"""The section that starts the signer."""


class Reader:
    """Types what stands on the page, in a directory of its own."""

    def __init__(self, directory: Path, address: str) -> None:
        self._directory = directory
        self._address = address
        self.said = ""
        """By everything in the last block of shell."""

    def follow(self, block: Block, language: Language) -> None:
        """Type a block, write a file, or compare what was said."""
        if block.kind == "sh":
            self._type(block.text, language)
        elif block.file:
            (self._directory / block.file).write_text(block.text)
        elif self.said:
            assert block.kind == "text"
            check_was_said(told_of(block.text, language), self.said)

    def _type(self, text: str, language: Language) -> None:
        self.said, script = "", []
        for line in text.splitlines():
            if "holdfast " not in line:
                script.append(line)
                continue
            self._bash(script)
            script = []
            before, _, command = line.rpartition(" | ")
            if "$key" in command:
                command = command.replace("$key", self._bash(["printf %s $key"], told=False))
            code = self._holdfast(command, stdin=self._bash([before], told=False) if before else "")
            if "POLICY_TOOL_MISSING" in self.said:
                raise PolicyToolMissingError(self.said, program=COMPILER[language], remedy=NEEDS[language])
            if RULES_ONLY in line and language is not Language.YAML:
                assert (code, NO_RULES in self.said) == (EXIT_USAGE, True), self.said
                self.said = ""
                continue
            expected = re.search(r"# exit code (\d)", line)
            assert code == (int(expected[1]) if expected else 0), f"{line}\n{self.said}"
        self._bash(script)

    def _holdfast(self, line: str, *, stdin: str) -> int:
        words = shlex.split(line, comments=True)
        assert words.pop(0) == "holdfast"
        told = io.StringIO()
        with (
            contextlib.chdir(self._directory),
            contextlib.redirect_stdout(told),
            contextlib.redirect_stderr(told),
            pytest.MonkeyPatch.context() as patch,
        ):
            patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin.encode())))
            code = run(App, words, environ=os.environ)
        self.said += told.getvalue()
        return code

    def _bash(self, script: list[str], *, told: bool = True) -> str:
        """What the lines say. What they define is kept for the next ones, as in the reader's own shell."""
        if not any(script):
            return ""
        text = "\n".join(script).replace(PORT, self._address)
        kept = "code=$?; { declare -p key signer; declare -f; } >.shell 2>/dev/null; exit $code"
        line = f"source ./.shell 2>/dev/null\n{text}\n{kept}"
        ended = subprocess.run(
            ["bash", "-c", line], cwd=self._directory, capture_output=True, text=True, check=False, timeout=LINE_SECONDS
        )
        assert ended.returncode == 0, f"{text}\n{ended.stdout}{ended.stderr}"
        if told:
            self.said += ended.stdout
        return ended.stdout


def told_of(text: str, language: Language) -> str:
    """The lines that are told of a policy in this language."""
    not_told = MODULES_ONLY if language is Language.YAML else RULES_ONLY
    lines = [line for line in text.splitlines() if not_told not in line]
    return "\n".join(re.sub(f" *({RULES_ONLY}|{MODULES_ONLY})$", "", line) for line in lines)


def check_was_said(expected: str, said: str) -> None:
    """Line by line in this order, with others between them; … stands for anything."""
    lines = iter(said.splitlines())
    for wanted in expected.splitlines():
        pattern = ".*".join(re.escape(part) for part in wanted.split("…"))
        assert any(re.fullmatch(pattern, line) for line in lines), f"not said: {wanted}\n{said}"


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    """The page's signer: where its data is, and its address. It has free ports, as the page says for taken ones."""
    directory = tmp_path_factory.mktemp("authors")
    [block] = [block for block in BLOCKS if block.section == FIRST]
    init, serve = (shlex.split(line, comments=True)[1:] for line in block.text.splitlines())
    command: dict[str, Any] = {
        "cwd": directory,
        "env": {**os.environ, "PYTHONPATH": str(REPOSITORY)},
        "stdin": subprocess.DEVNULL,
    }
    port = free_port()
    [ports] = OTHER_PORTS.findall(PAGE.read_text())
    init += shlex.split(ports.replace("9100", str(port)).replace("9101", str(free_port())))
    subprocess.run([*HOLDFAST, *init], check=True, capture_output=True, timeout=LINE_SECONDS, **command)
    with (directory / "log").open("wb") as log:
        process = subprocess.Popen([*HOLDFAST, *serve], stdout=log, stderr=log, **command)
    try:
        wait_until_ready(process, port, directory / "log")
        yield directory / "data", f"127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(STOP_SECONDS)


def wait_until_ready(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        with contextlib.closing(connection), contextlib.suppress(OSError, http.client.HTTPException):
            connection.request("GET", "/health/ready")
            if connection.getresponse().status == 200:
                return
        with contextlib.suppress(subprocess.TimeoutExpired):
            raise RuntimeError(f"the signer ended with {process.wait(0.05)}: {log.read_text()}")
        assert time.monotonic() < deadline, log.read_text()


@pytest.mark.parametrize("language", HEADINGS)
def test_the_page_works_line_by_line(language: Language, address: tuple[Path, str], tmp_path: Path) -> None:
    data, where = address
    (tmp_path / "data").symlink_to(data)
    reader = Reader(tmp_path, where)
    said = ""
    with compilers_or_skip():
        for block in BLOCKS:
            if block.section != FIRST and block.subsection in ("", HEADINGS[language]):
                reader.follow(block, language)
                said += reader.said if block.kind == "sh" else ""
    [proposed] = set(re.findall(r"^next: .*validators$", said, re.MULTILINE))
    assert f"`{proposed}`" in PAGE.read_text()
    if language is not Language.YAML:
        module, fuel = figures_of(language)
        measured = re.search(r"^fuel: median (\d+)", said, re.MULTILINE)
        assert measured is not None
        assert int(measured[1]) == pytest.approx(fuel, rel=NEAR)
        assert (tmp_path / "validators" / "policy.wasm").stat().st_size == pytest.approx(module, rel=NEAR)


def row_of(language: Language) -> list[str]:
    """What the page's first table says of a language."""
    [row] = re.findall(rf"^\| \[{HEADINGS[language]}\]\(.*", PAGE.read_text(), re.MULTILINE)
    return [cell.strip() for cell in row.strip("| ").split(" | ")]


def figures_of(language: Language) -> tuple[int, int]:
    module, fuel = (int(re.sub(r"[^0-9]", "", cell)) for cell in row_of(language)[-2:])
    return module, fuel


@pytest.mark.parametrize("language", COMPILER)
def test_what_is_to_be_installed_is_what_a_missing_compiler_asks_for(language: Language) -> None:
    line = re.search(r"`([^`]+)`", row_of(language)[1])
    assert line is not None
    assert line[1] in NEEDS[language]


def test_what_the_cases_of_the_page_would_not_notice_is_what_it_says() -> None:
    files = {each.file: each.text for each in BLOCKS if each.subsection in ("", HEADINGS[Language.YAML])}
    rules, text = read_rule_file(files["validators/policy.yaml"], name="policy.yaml"), files["validators/cases.yaml"]
    unnoticed = [each.change for each in check_mutants(rules, read_cases(text, name="cases.yaml")).survivors]
    assert (len(unnoticed), "types: RANDAO_REVEAL is gone" in unnoticed) == (6, True)
    for change in unnoticed:
        duty = change.split()[1]
        text += f"  - {{name: {duty}, expect: allow, facts: {{duty: {{type: {duty}}}}}}}\n"
    assert check_mutants(rules, read_cases(text, name="cases.yaml")).survivors == ()


def test_every_language_has_its_section_and_every_file_a_place() -> None:
    assert set(HEADINGS) == set(Language)
    assert {block.subsection for block in BLOCKS} == {"", *HEADINGS.values()}
    assert all(block.file or block.kind in {"sh", "text"} for block in BLOCKS)


def test_a_line_that_is_for_rules_only_says_before_it_what_others_are_told() -> None:
    before, _, after = PAGE.read_text().partition(NO_RULES)
    assert RULES_ONLY not in "".join(block.text for block in BLOCKS if block.kind == "sh" and block.text in before)
    assert RULES_ONLY in after
