"""What is measured as a cost is one: a signer that has to do the same as the other loses little, and both sign all."""

import shutil

import pytest
from added_cost import added_cost
from bench_rows import Run, all_different

pytestmark = [pytest.mark.torture, pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler")]


def test_what_adds_nothing_is_measured_on_two_signers_that_sign_everything(tmp_path):
    prepared = []
    run = Run(tmp_path, seconds=0.1, repeats=1, quick=True)
    cost, notes = added_cost(run, source=all_different, prepare=prepared.append, name="same", keys=20)
    assert len(prepared) == 1
    assert cost < 100
    assert "against" in notes
    assert {each.name for each in tmp_path.iterdir()} >= {"without-20", "same-20"}
