"""A disk that fails under a running signer: the write failed and was lost, or it failed and was kept.

Nobody can say which it was, so nothing is signed, the signer ends, and the next start reads the truth.
"""

import shutil
import subprocess
import sysconfig
from pathlib import Path

import pytest
from duty_requests import NO_GUARD, line_to, vote_body
from running import interop_secret, running_signer

pytestmark = pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler to make a failing disk with")


@pytest.fixture(scope="module")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("shim") / "failing_disk.so"
    compiler = (sysconfig.get_config_var("CC") or "cc").split()[0]
    source = Path(__file__).with_name("failing_disk.c")
    subprocess.run([compiler, "-O1", "-shared", "-fPIC", "-o", made, source, "-ldl"], check=True)
    return made


@pytest.mark.parametrize("how", ["lost", "kept"])
@pytest.mark.parametrize("killed", [False, True], ids=["ends by itself", "killed"])
def test_a_failing_disk_releases_no_signature_and_the_next_start_knows_what_was_kept(
    tmp_path: Path, shim: Path, how: str, *, killed: bool
) -> None:
    broken = tmp_path / "broken"
    environment = {"LD_PRELOAD": str(shim), "FAILING_DISK_WHEN": str(broken), "FAILING_DISK_HOW": how}
    with running_signer(tmp_path, secrets=[interop_secret(0)], sections=NO_GUARD, environment=environment) as signer:
        key = signer.public_keys()[0]
        with line_to(signer.port) as line:
            assert line.sign(key, vote_body(1, 2, 0)).signature
            broken.touch()
            answer = line.sign(key, vote_body(2, 3, 0))
            if killed:
                signer.kill()
            assert (answer.status, answer.code) == (500, "OUTCOME_UNKNOWN"), answer
        if not killed:
            assert signer.process.wait(timeout=30) == 1
            assert "the journal has stopped" in signer.log
        broken.unlink()
        signer.restart()
        with line_to(signer.port) as line:
            assert line.sign(key, vote_body(1, 2, 1)).code == "DOUBLE_VOTE"
            other, same = line.sign(key, vote_body(2, 3, 1)), line.sign(key, vote_body(2, 3, 0))
            # Whichever the disk kept: one of the two was never given out, and only one of them ever is.
            assert sorted([other.verdict, same.verdict]) == ["412 DOUBLE_VOTE", "signed"]
            if how == "lost":
                assert other.signature, "what was lost is not on record"
        assert signer.holdfast("audit", "verify").returncode == 0
