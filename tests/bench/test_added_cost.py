"""A cost is measured between two signers that sign everything, one of them with what is measured."""

import shutil

import pytest
from added_cost import added_cost
from bench_rows import Run, all_different
from bound_rows import NAME, NAMESPACE, bind_policy
from running import RunningSigner

pytestmark = [pytest.mark.torture, pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler")]


def test_what_a_bound_policy_costs_is_measured_on_two_signers_that_sign_everything(tmp_path):
    listed = []

    def prepare(signer: RunningSigner) -> None:
        bind_policy(signer)
        listed.append(signer.holdfast("policy", "list").stdout)

    run = Run(tmp_path, seconds=0.1, repeats=1, quick=True)
    cost, notes = added_cost(run, source=all_different, prepare=prepare, name="bound", keys=20)
    assert cost < 100
    assert "against" in notes
    (told,) = listed
    assert NAME in told
    assert f"namespace:{NAMESPACE}" in told
    assert {each.name for each in tmp_path.iterdir()} >= {"without-20", "bound-20"}
