"""`holdfast freeze` against a running signer: at once, in every process, across restarts, and seen from outside."""

import contextlib
import http.client
import json
from pathlib import Path

from duty_requests import NO_GUARD, vote_body
from e2e.worker_processes import lines_to_processes, restart_in_one_process
from running import RunningSigner, free_port, interop_secret, merged, running_signer


def sections(workers: int) -> dict:
    metrics = {"enabled": True, "port": free_port()}
    return merged({"server": {"workers": workers}, "metrics": metrics}, NO_GUARD)


def metrics_page(signer: RunningSigner) -> str:
    with contextlib.closing(
        http.client.HTTPConnection("127.0.0.1", signer.metrics_port or 0, timeout=10)
    ) as connection:
        connection.request("GET", "/metrics")
        return connection.getresponse().read().decode()


def metric(page: str, name: str) -> float:
    [line] = [line for line in page.splitlines() if line.startswith(name + " ")]
    return float(line.split()[1])


def test_a_frozen_key_signs_nothing_in_any_process_until_it_is_thawed(tmp_path: Path) -> None:
    """It is frozen while two workers serve, and thawed after the start of one process alone."""
    with running_signer(tmp_path, secrets=[interop_secret(0), interop_secret(1)], sections=sections(2)) as signer:
        one, other = signer.public_keys()

        def verdicts(epoch: int) -> set[tuple[str, str]]:
            """What every process says of a vote of each key."""
            body = vote_body(epoch, epoch + 1)
            with lines_to_processes(signer) as lines:
                return {(line.sign(one, body).verdict, line.sign(other, body).verdict) for line in lines}

        assert verdicts(1) == {("signed", "signed")}
        frozen = signer.holdfast("freeze", one, "--json")
        assert frozen.returncode == 0, frozen.stderr
        assert json.loads(frozen.stdout)["keys"] == [{"public_key": one, "status": "frozen", "message": ""}]
        # What was signed before is not given again either.
        assert verdicts(1) == {("412 KEY_FROZEN", "signed")}
        assert verdicts(2) == {("412 KEY_FROZEN", "signed")}

        signer.holdfast("freeze", "all")
        assert verdicts(3) == {("412 KEY_FROZEN", "412 KEY_FROZEN")}
        page = metrics_page(signer)
        assert (metric(page, "holdfast_keys_frozen"), metric(page, "holdfast_all_keys_frozen")) == (1, 1)
        status, body = signer.get("/healthcheck")
        [check] = [each for each in json.loads(body)["checks"] if each["id"] == "holdfast-frozen-keys"]
        assert (status, check["data"]) == (200, {"frozen-keys": 1, "all-frozen": True, "frozen-tags": 0})

        signer.stop()
        offline = signer.holdfast("thaw", "all")
        assert offline.returncode == 0, offline.stderr
        restart_in_one_process(signer)
        assert verdicts(4) == {("412 KEY_FROZEN", "signed")}
        assert metric(metrics_page(signer), "holdfast_keys_frozen") == 1
        assert signer.holdfast("thaw", one).returncode == 0
        assert verdicts(4) == {("signed", "signed")}
        assert signer.holdfast("freeze", other).returncode == 0
        assert verdicts(5) == {("signed", "412 KEY_FROZEN")}
        assert signer.holdfast("thaw", other).returncode == 0
        assert "Nothing is frozen." in signer.holdfast("freeze").stdout
        told = json.loads(signer.holdfast("audit", "show", "--key", one, "--last", "50", "--json").stdout)["entries"]
        assert [entry["kind"] for entry in told if entry["kind"].startswith("key_")] == ["key_frozen", "key_thawed"]
        assert {entry["code"] for entry in told if entry["outcome"] == "refused"} == {"KEY_FROZEN"}


def test_a_mistyped_key_is_refused_before_anything_is_frozen(tmp_path: Path) -> None:
    with running_signer(tmp_path, secrets=[interop_secret(0)], sections=sections(1)) as signer:
        for words in (("freeze", "0x12"), ("freeze", "all", "everything"), ("thaw",)):
            said = signer.holdfast(*words)
            assert said.returncode == 2, said
        assert "Nothing is frozen." in signer.holdfast("freeze").stdout
