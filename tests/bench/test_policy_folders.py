"""The bench of policies measures every folder that has cases, and nothing that decides otherwise than these say."""

import re
import shutil

import pytest
from bench_rows import Run
from policy_folders import POLICIES, example_policies, policy_folders

from signer.policy.modules import Modules
from signer.policy.native import make_engine


@pytest.fixture
def measured(tmp_path):
    engine = make_engine()
    run = Run(tmp_path, seconds=0.01, repeats=1, quick=True)
    return lambda directory: list(example_policies(run, engine, Modules(engine), directory=directory))


def test_every_policy_with_cases_is_measured_whatever_it_is_written_in(measured):
    folders = {each.parent.name for each in POLICIES.glob("*/cases.yaml")}
    assert folders
    rows = measured(POLICIES)
    assert {row.case.split()[0] for row in rows} == {f"policies/{name}" for name in folders}
    assert all(row.value > 0 and row.verdict == "-" for row in rows)


def test_a_policy_that_does_not_decide_as_its_cases_say_is_not_measured(measured, tmp_path):
    folder = next(folder for folder in policy_folders() if folder.content.name == "policy.yaml")
    copy = tmp_path / "policies" / folder.directory.name
    shutil.copytree(folder.directory, copy)
    cases = (copy / "cases.yaml").read_text()
    (copy / "cases.yaml").write_text(re.sub(r"code: \w+", "code: ANOTHER", cases, count=1))
    with pytest.raises(RuntimeError, match=r"cases\.yaml"):
        measured(copy.parent)
