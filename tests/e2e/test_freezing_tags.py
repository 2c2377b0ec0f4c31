"""Tags of running signers: from documents and by order, frozen together, in every process and across restarts."""

import json
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest
from duty_requests import NO_GUARD, Line, fork_info, line_to, lines_to, sign_request, vote_body
from e2e.worker_processes import lines_to_processes, restart_in_one_process, until
from running import RunningSigner, interop_secret, merged, running_signer, write_raw_keys

RANDAO = {"type": "RANDAO_REVEAL", "fork_info": fork_info(), "randao_reveal": {"epoch": "3"}}
AFTERWARDS = 10
"""Signatures that each connection asks for after the order was answered."""


def give_tags(directory: Path, numbers: Sequence[int], *lines: str) -> None:
    """The key file of these interop keys, where the first one's document has lines more."""
    write_raw_keys(directory, [interop_secret(number) for number in numbers])
    file = directory / "keys.yaml"
    first, mark, rest = file.read_text().partition("---\n")
    file.write_text(first + "".join(line + "\n" for line in lines) + mark + rest)


def sections(workers: int) -> dict:
    return merged({"server": {"workers": workers}}, NO_GUARD)


def test_a_frozen_tag_holds_for_the_keys_that_bear_it_or_get_it_in_any_process(tmp_path: Path) -> None:
    give_tags(tmp_path / "keys", [0, 1], "tags: [lido, client:two]")
    with running_signer(tmp_path, sections=sections(2)) as signer:
        tags = {key["public_key"]: key["tags"] for key in listed(signer)}
        [one] = [key for key in tags if tags[key]]
        [other] = [key for key in tags if not tags[key]]
        assert tags[one] == ["client:two", "lido"]
        assert [key["public_key"] for key in listed(signer, "--tag", "lido")] == [one]

        def verdicts(epoch: int) -> set[tuple[str, str]]:
            """What every process says of a vote of each key."""
            body = vote_body(epoch, epoch + 1)
            with lines_to_processes(signer) as lines:
                return {(each.sign(one, body).verdict, each.sign(other, body).verdict) for each in lines}

        assert verdicts(1) == {("signed", "signed")}
        said = signer.holdfast("freeze", "tag:lido", "--json")
        assert said.returncode == 0, said.stderr
        assert [group["keys"] for group in json.loads(said.stdout)["frozen"]["tags"]] == [1]
        assert verdicts(2) == {("412 KEY_FROZEN", "signed")}

        assert signer.holdfast("keys", "tag", other, "--add", "lido").returncode == 0
        assert verdicts(3) == {("412 KEY_FROZEN", "412 KEY_FROZEN")}
        kept = signer.holdfast("keys", "tag", other, "--remove", "lido")
        assert kept.returncode == 1
        assert "holdfast thaw tag:lido" in kept.stdout
        assert verdicts(3) == {("412 KEY_FROZEN", "412 KEY_FROZEN")}

        signer.stop()
        assert signer.holdfast("freeze", one).returncode == 0
        give_tags(tmp_path / "keys", [0, 1])
        restart_in_one_process(signer)
        assert verdicts(3) == {("412 KEY_FROZEN", "412 KEY_FROZEN")}, "a document takes no tag away"
        assert signer.holdfast("thaw", "tag:lido").returncode == 0
        assert verdicts(4) == {("412 KEY_FROZEN", "signed")}, "it was frozen by its own name too"
        assert signer.holdfast("thaw", one).returncode == 0
        assert verdicts(5) == {("signed", "signed")}
        assert signer.holdfast("keys", "tag", other, "--remove", "lido").returncode == 0
        told = json.loads(signer.holdfast("audit", "show", "--key", other, "--last", "50", "--json").stdout)["entries"]
        notes = [entry["note"] for entry in told if entry["kind"] == "key_tagged"]
        assert sorted(notes) == ["+lido", "-lido", "refused: frozen lido"]


def test_a_reload_that_brings_a_frozen_tag_freezes_the_key(tmp_path: Path) -> None:
    with running_signer(tmp_path, secrets=[interop_secret(0)], sections=sections(1)) as signer:
        [one] = signer.public_keys()
        assert signer.holdfast("freeze", "tag:lido").returncode == 0
        with line_to(signer.port) as line:
            assert line.sign(one, RANDAO).verdict == "signed"
            give_tags(tmp_path / "keys", [0], "tags:", "  - lido")
            assert line.ask(b"POST /reload HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: 0\r\n\r\n").status == 202
            until(lambda: json.loads(line.get("/reload").body)["status"] == "completed")
            assert line.sign(one, RANDAO).verdict == "412 KEY_FROZEN"


@pytest.mark.parametrize(("workers", "what"), [(1, "all"), (2, "tag:lido")])
def test_nothing_that_is_asked_for_after_the_answer_is_signed(tmp_path: Path, workers: int, what: str) -> None:
    """Stronger than within a second: from the answer on, whoever asks, whichever process."""
    give_tags(tmp_path / "keys", [0], "tags: [lido]")
    with running_signer(tmp_path, sections=sections(workers)) as signer:
        [key] = signer.public_keys()
        request = sign_request(key, RANDAO)
        answered, verdicts = threading.Event(), list[tuple[bool, str]]()

        def ask(line: Line) -> None:
            before = after = 0
            while after < AFTERWARDS:
                was_answered = answered.is_set()
                verdicts.append((was_answered, line.ask(request).verdict))
                before, after = before + (not was_answered), after + was_answered
                if before == 1:
                    begun.release()

        begun = threading.Semaphore(0)
        with lines_to(signer.port, 6) as lines:
            threads = [threading.Thread(target=ask, args=(line,), daemon=True) for line in lines]
            for thread in threads:
                thread.start()
            for _ in threads:
                assert begun.acquire(timeout=60)
            assert signer.holdfast("freeze", what).returncode == 0
            answered.set()
            for thread in threads:
                thread.join(timeout=60)
        assert {verdict for after, verdict in verdicts if after} == {"412 KEY_FROZEN"}
        assert sum(after for after, _ in verdicts) == AFTERWARDS * len(threads)
        assert {verdict for after, verdict in verdicts if not after} <= {"signed", "412 KEY_FROZEN"}
        assert (False, "signed") in verdicts


def listed(signer: RunningSigner, *words: str) -> list[dict]:
    said = signer.holdfast("keys", "list", *words, "--json")
    assert said.returncode == 0, said.stderr
    return json.loads(said.stdout)["keys"]
