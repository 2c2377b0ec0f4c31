"""Commands as clients: over the admin socket, over the network with a credential, and in this process."""

import asyncio
import json
import ssl
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from cli_line import DOCUMENT, KEY_A, KEY_B, AdminServer, Cli, MemoryHost, told

from signer.cli.problem import problem_document, problem_text
from signer.errors import SignerError
from signer.operations.record_status import ToldWatermarks

DEVELOPMENT = ("--preset", "development", "--data-directory", "data")


# --- the admin socket ---------------------------------------------------------------------------


def test_a_running_server_is_asked_through_its_socket(
    cli: Cli, host: MemoryHost, server: AdminServer, data: Path, in_use: None
) -> None:
    server.listen_on_socket(data / "admin.sock")
    said = cli("keys", "list", *DEVELOPMENT)
    assert (said.code, said.err) == (0, "")
    assert said.out == f"0x{KEY_A.hex()}\tdefault\tfile-keystore\n"
    assert server.requests == [("GET", "/admin/keys", b"")]
    assert host.closed == 0, "nothing was opened here"


def test_what_a_server_says_is_shown_in_json(cli: Cli, server: AdminServer, data: Path) -> None:
    server.listen_on_socket(data / "admin.sock")
    assert cli("keys", "list", "--json", *DEVELOPMENT).json == {
        "keys": [
            {
                "public_key": "0x" + KEY_A.hex(),
                "namespace": "default",
                "origin": "file-keystore",
                "derivation_path": None,
                "quarantined_until_epoch": None,
                "quarantined_until": None,
                "tags": [],
                "silent": [],
                "waits_from_start": False,
            }
        ]
    }
    verified = cli("audit", "verify", "--json", *DEVELOPMENT)
    assert (verified.code, verified.json["verified"], verified.json["entries"]) == (0, True, 1234)


def test_a_problem_of_the_server_is_told_with_its_code_and_evidence(cli: Cli, server: AdminServer, data: Path) -> None:
    server.listen_on_socket(data / "admin.sock")
    server.answer_json(
        "POST", "/admin/audit/verify",
        {"type": "about:blank", "title": "broken", "status": 500, "code": "AUDIT_BROKEN",
         "detail": "entry 7 was changed", "request_id": "ab", "index": 7},
        status=500,
    )  # fmt: skip
    said = cli("audit", "verify", *DEVELOPMENT)
    assert (said.code, said.out) == (1, "")
    assert said.err == "error: entry 7 was changed (AUDIT_BROKEN)\n  request_id: ab\n  index: 7\n"
    problem = cli("audit", "verify", "--json", *DEVELOPMENT).problem
    assert (problem["code"], problem["status"], problem["index"]) == ("AUDIT_BROKEN", 500, 7)


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [(502, b"bad gateway", "bad gateway (HTTP_502)"), (409, b'{"message": "busy"}', "busy")],
)
def test_an_answer_that_is_no_problem_document_is_told_as_it_is(
    cli: Cli, server: AdminServer, data: Path, status: int, body: bytes, words: str
) -> None:
    async def handler(_request: web.Request) -> web.Response:
        return web.Response(status=status, body=body)

    server.listen_on_socket(data / "admin.sock")
    server.answer("GET", "/admin/keys", handler)
    said = cli("keys", "list", *DEVELOPMENT)
    assert said.code == 1
    assert words in said.err


@pytest.mark.parametrize("answer", [{"keys": [{"public_key": 7}]}, {"other": []}, ["list"]])
def test_an_answer_of_another_shape_is_an_error_and_no_empty_list(
    cli: Cli, server: AdminServer, data: Path, answer: Any
) -> None:
    server.listen_on_socket(data / "admin.sock")
    server.answer_json("GET", "/admin/keys", answer)
    said = cli("keys", "list", *DEVELOPMENT)
    assert (said.code, said.out) == (1, "")
    assert "UNREACHABLE" in said.err


# --- in this process -----------------------------------------------------------------------------


def test_without_a_server_the_command_works_in_this_process(cli: Cli, host: MemoryHost, data: Path) -> None:
    said = cli("keys", "list", *DEVELOPMENT)
    assert said.code == 0
    assert said.out.splitlines() == [
        f"0x{KEY_A.hex()}\tdefault\tfile-keystore\tm/12381/3600/0/0/0",
        f"0x{KEY_B.hex()}\tdefault\tfile-raw",
    ]
    assert host.closed == 1


def test_keys_that_will_wait_from_the_next_start_are_told_where_no_server_runs(
    cli: Cli, host: MemoryHost, data: Path
) -> None:
    host.new = frozenset({KEY_B})
    said = cli("keys", "list", *DEVELOPMENT)
    assert said.out.splitlines()[1] == f"0x{KEY_B.hex()}\tdefault\tfile-raw\t\t\tquarantined from its first start"
    assert f"1 keys came without slashing history, the first 0x{KEY_B.hex()}" in said.err
    listed = cli("keys", "list", "--json", *DEVELOPMENT).json["keys"]
    assert [key["waits_from_start"] for key in listed] == [False, True]


def test_a_socket_that_a_crash_left_behind_does_not_count_as_a_server(
    cli: Cli, host: MemoryHost, server: AdminServer, data: Path
) -> None:
    import socket

    with socket.socket(socket.AF_UNIX) as left_behind:
        left_behind.bind(str(data / "admin.sock"))
    assert cli("keys", "list", *DEVELOPMENT).code == 0
    assert host.closed == 1


def test_a_held_directory_whose_server_is_silent_is_explained(cli: Cli, data: Path, in_use: None) -> None:
    said = cli("keys", "list", *DEVELOPMENT)
    assert (said.code, said.out) == (1, "")
    assert "another Holdfast (process 4711)" in said.err
    assert "DATA_DIRECTORY_IN_USE" in said.err


def test_an_operation_that_fails_in_this_process_still_closes_what_was_opened(
    cli: Cli, host: MemoryHost, data: Path
) -> None:
    host.audit_broken = True
    said = cli("audit", "verify", *DEVELOPMENT)
    assert (said.code, said.out) == (1, "")
    assert "entry 7 was changed (AUDIT_BROKEN)" in said.err
    assert host.closed == 1


# --- entries of the audit log ----------------------------------------------------------------------


def serve_entries(server: AdminServer) -> list[dict[str, str]]:
    """The log of `MemoryOperations`, over HTTP; returns what is asked."""
    asked: list[dict[str, str]] = []

    async def entries(request: web.Request) -> web.Response:
        asked.append(dict(request.rel_url.query))
        index = int(request.rel_url.query.get("before", 103)) - 1
        page = {"entries": [asdict(told(index))], "next_before": index if index > 100 else None, "log_begins": 100}
        return web.Response(body=json.dumps(page).encode(), content_type="application/json")

    server.answer("GET", "/admin/audit/entries", entries)
    return asked


@pytest.mark.parametrize("running", [True, False], ids=["by a server", "in this process"])
def test_the_newest_entries_are_shown_with_the_newest_at_the_end(
    cli: Cli, server: AdminServer, data: Path, running: bool
) -> None:
    serve_entries(server)
    if running:
        server.listen_on_socket(data / "admin.sock")
    said = cli("audit", "show", "--last", "2", *DEVELOPMENT)
    assert (said.code, said.err) == (0, "")
    assert [line.split(" ")[0] for line in said.out.splitlines()] == ["101", "102"]
    assert said.out.splitlines()[0] == (
        "101 2026-01-02T03:04:05.678Z duty refused blind code=DOUBLE_VOTE duty=ATTESTATION source_epoch=0"
        f" target_epoch=5 key=0x{KEY_A.hex()} principal=alice request_id=0011223344556677 note=target_epoch=5"
    )
    everything = cli("audit", "show", "--json", *DEVELOPMENT).json
    assert everything["entries"] == [asdict(told(index)) for index in (100, 101, 102)]
    assert "archives" in cli("audit", "show", *DEVELOPMENT).err


def test_a_request_and_a_key_are_asked_for_by_name(cli: Cli, server: AdminServer, data: Path) -> None:
    asked = serve_entries(server)
    server.listen_on_socket(data / "admin.sock")
    key = "0x" + KEY_A.hex().upper()
    assert cli("audit", "show", "--request-id", "00AA223344556677", "--key", key, "--last", "1", *DEVELOPMENT).code == 0
    assert asked == [{"last": "1", "request_id": "00aa223344556677", "public_key": "0x" + KEY_A.hex()}]


@pytest.mark.parametrize("wrong", [("--key", "0x12"), ("--request-id", "zz"), ("--last", "0")])
def test_what_no_entry_can_have_is_a_fault_of_the_command_line(cli: Cli, data: Path, wrong: tuple[str, str]) -> None:
    assert cli("audit", "show", *wrong, *DEVELOPMENT).code == 2


@pytest.mark.parametrize(
    "words",
    [
        ("export", "--to", "protection.json", "--key", "0x12"),
        ("watermark", "--high-epoch", str(2**64)),
        ("watermark", "--low-slot", str(2**64)),
        ("watermark", "--key", "0x12", "--low-slot", "1"),
        ("prune", "--keep-epochs", str(2**64)),
    ],
    ids=" ".join,
)
def test_what_no_record_can_have_is_a_fault_of_the_command_line_too(
    cli: Cli, data: Path, words: tuple[str, ...]
) -> None:
    assert cli("slashing", *words, *DEVELOPMENT).code == 2


# --- the slashing record --------------------------------------------------------------------------


@pytest.mark.parametrize("running", [True, False], ids=["by a server", "in this process"])
def test_the_record_is_exported_whole_into_a_private_file(
    cli: Cli, server: AdminServer, data: Path, tmp_path: Path, running: bool
) -> None:
    if running:
        server.listen_on_socket(data / "admin.sock")
    said = cli("slashing", "export", "--to", "protection.json", *DEVELOPMENT)
    assert (said.code, said.out) == (0, f"protection.json: {len(DOCUMENT)} bytes\n")
    assert (tmp_path / "protection.json").read_bytes() == DOCUMENT
    assert (tmp_path / "protection.json").stat().st_mode & 0o777 == 0o600
    assert cli("slashing", "export", "--to", "-", *DEVELOPMENT).out == DOCUMENT.decode()


def test_an_export_that_breaks_off_leaves_no_file(cli: Cli, server: AdminServer, data: Path, tmp_path: Path) -> None:
    async def broken(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        response.enable_chunked_encoding()
        await response.prepare(request)
        await response.write(DOCUMENT[:20])
        assert request.transport is not None
        request.transport.abort()
        await asyncio.sleep(0)
        return response

    server.listen_on_socket(data / "admin.sock")
    server.answer("GET", "/admin/slashing/export", broken)
    said = cli("slashing", "export", "--to", "new.json", *DEVELOPMENT)
    assert said.code == 1
    assert "UNREACHABLE" in said.err
    assert [each.name for each in tmp_path.iterdir()] == ["data"]


def test_an_older_export_is_never_overwritten(cli: Cli, data: Path, tmp_path: Path) -> None:
    (tmp_path / "old.json").write_text("old")
    said = cli("slashing", "export", "--to", "old.json", *DEVELOPMENT)
    assert (said.code, said.out) == (2, "")
    assert "old.json is there already" in said.err
    assert (tmp_path / "old.json").read_text() == "old"


@pytest.mark.parametrize("running", [True, False], ids=["by a server", "in this process"])
def test_an_export_tells_of_keys_that_only_a_watermark_binds(
    cli: Cli, host: MemoryHost, server: AdminServer, data: Path, running: bool
) -> None:
    host.marks = ToldWatermarks(7, None, None, None)
    if running:
        marks = {"low_epoch": 7, "low_slot": None, "high_epoch": None, "high_slot": None}
        server.answer_json("GET", "/admin/slashing/status", {"watermarks": marks, "keys": [], "next_after": None})
        server.listen_on_socket(data / "admin.sock")
    said = cli("slashing", "export", "--to", "plain.json", *DEVELOPMENT)
    assert said.code == 0
    assert "warning: a low watermark binds every key (epoch 7)" in said.err
    assert "--key 0x" in said.err
    said = cli("slashing", "export", "--to", "for-programs.json", "--json", *DEVELOPMENT)
    [warning] = json.loads(said.out)["warnings"]
    assert warning.startswith("a low watermark binds every key (epoch 7)")
    assert cli("slashing", "export", "--to", "-", *DEVELOPMENT).out == DOCUMENT.decode()


def test_a_file_that_cannot_be_written_is_one_sentence(cli: Cli, data: Path) -> None:
    said = cli("slashing", "export", "--to", "nowhere/protection.json", *DEVELOPMENT)
    assert (said.code, said.out) == (1, "")
    assert said.err.startswith("error: nowhere/")
    assert "No such file or directory" in said.err
    problem = cli("slashing", "export", "--to", "nowhere/protection.json", "--json", *DEVELOPMENT).problem
    assert problem["code"] == "FILE"


def test_json_and_the_document_do_not_share_standard_output(cli: Cli) -> None:
    assert cli("slashing", "export", "--to", "-", "--json", *DEVELOPMENT).code == 2


@pytest.mark.parametrize("running", [True, False], ids=["by a server", "in this process"])
def test_a_record_is_imported(
    cli: Cli, host: MemoryHost, server: AdminServer, data: Path, tmp_path: Path, running: bool
) -> None:
    document = b'{"metadata": {}, "data": [' + b" " * 300_000 + b"]}"
    (tmp_path / "protection.json").write_bytes(document)
    if running:
        server.listen_on_socket(data / "admin.sock")
    said = cli("slashing", "import", "protection.json", *DEVELOPMENT)
    assert (said.code, said.err) == (0, "")
    assert said.out == (
        "public key\tblocks added\tattestations added\tdiffering\tfloors\terror\n"
        f"0x{KEY_A.hex()}\t3\t7\t0\n1 validators imported, 0 refused\n"
    )
    received = [body for _, _, body in server.requests] if running else host.imported
    assert received == [document]


def test_a_validator_that_could_not_be_imported_makes_the_command_fail(
    cli: Cli, server: AdminServer, data: Path, tmp_path: Path
) -> None:
    (tmp_path / "protection.json").write_text("{}")
    server.listen_on_socket(data / "admin.sock")
    server.answer_json(
        "POST", "/admin/slashing/import",
        {"validators": [{"public_key": "0xaa", "blocks": 0, "attestations": 0, "error": "below the floor"}]},
    )  # fmt: skip
    said = cli("slashing", "import", "protection.json", *DEVELOPMENT)
    assert said.code == 1
    assert "below the floor" in said.out
    assert "0 validators imported, 1 refused" in said.out


def test_a_refused_import_names_every_faulty_history_once(
    cli: Cli, server: AdminServer, data: Path, tmp_path: Path
) -> None:
    """The first in the refusal, the others before it; for programs the report and the problem are documents apart."""
    (tmp_path / "protection.json").write_text("{}")
    server.listen_on_socket(data / "admin.sock")
    counts = {"blocks": 0, "attestations": 0}
    faults = [("0xaa", "reaches too far"), ("0xbb", "reaches too far"), (None, "$.data[2].pubkey: found 7")]
    told = [{"public_key": key, "error": error, **counts} for key, error in faults]
    detail = "3 of the document's histories cannot be used, so nothing was imported; the first: 0xaa: reaches too far"

    async def answer(request: web.Request) -> web.Response:
        if request.query_string == "dry_run=true":
            return web.json_response({"validators": told})
        problem = {"detail": detail, "code": "UNUSABLE_HISTORIES", "path": "$.data", "unusable": 3}
        return web.Response(status=400, body=json.dumps(problem).encode(), content_type="application/problem+json")

    server.answer("POST", "/admin/slashing/import", answer)
    said = cli("slashing", "import", "protection.json", *DEVELOPMENT)
    assert (said.code, said.out) == (1, "")
    assert said.err.splitlines() == [
        "0xbb: reaches too far",
        "a validator without a readable key: $.data[2].pubkey: found 7",
        f"error: {detail} (UNUSABLE_HISTORIES)",
        "  path: $.data",
        "  unusable: 3",
    ]
    said = cli("slashing", "import", "protection.json", "--json", *DEVELOPMENT)
    assert [each["error"] for each in said.json["validators"]] == [error for _, error in faults]
    assert said.problem["code"] == "UNUSABLE_HISTORIES"


@pytest.mark.parametrize(
    ("sentence", "evidence", "lines"),
    [
        ("a.json cannot be read: gone", {"file": "a.json", "reason": "gone"}, ["  reason: gone"]),
        ("a.json cannot be read: there is no such file", {"file": "a.json", "reason": "there is no such file"}, []),
        ("$.data[0]: found 7", {"path": "$.data[0]"}, []),
        ("entry 7 was changed", {"index": 7}, ["  index: 7"]),
        ("it is over", {"state": "over"}, ["  state: over"]),
    ],
)
def test_evidence_that_the_sentence_tells_is_not_told_again(
    sentence: str, evidence: dict[str, Any], lines: list[str]
) -> None:
    error = SignerError(sentence, evidence=evidence)
    assert problem_text(error).splitlines() == [f"error: {sentence} (SIGNER_ERROR)", *lines]
    assert problem_document(error).items() >= evidence.items(), "programs get all of it"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ((), "its wait in quarantine has ended with this history: its votes and blocks are signed"),
        (("--dry-run",), "its wait in quarantine would end with this history: its votes and blocks would be signed"),
    ],
    ids=["imported", "previewed"],
)
def test_each_key_whose_wait_an_import_ends_is_named(
    cli: Cli, server: AdminServer, data: Path, tmp_path: Path, options: tuple[str, ...], words: str
) -> None:
    (tmp_path / "protection.json").write_text("{}")
    server.listen_on_socket(data / "admin.sock")
    counts = {"blocks": 0, "attestations": 1, "error": None}
    told = [{"public_key": "0xaa", "ends_quarantine": True}, {"public_key": "0xbb", "ends_quarantine": False}]
    server.answer_json("POST", "/admin/slashing/import", {"validators": [{**each, **counts} for each in told]})
    said = cli("slashing", "import", "protection.json", *options, *DEVELOPMENT)
    assert (said.code, said.err) == (0, f"0xaa: {words}\n")
    document = cli("slashing", "import", "protection.json", "--json", *options, *DEVELOPMENT)
    assert [each["ends_quarantine"] for each in document.json["validators"]] == [True, False]
    assert document.err == ""


def test_what_is_odd_in_an_imported_history_is_told_with_its_key(
    cli: Cli, host: MemoryHost, data: Path, tmp_path: Path
) -> None:
    root = "0x4b363db94e286120d76eb905340fdd4e54bfe9f06bf33ff6cf5ad27f511bfe95"  # mainnet's
    vote = {"source_epoch": "2", "target_epoch": "3", "signing_root": "0x" + "11" * 32}
    sound, torn, ahead = ("0x" + byte * 48 for byte in ("aa", "bb", "cc"))
    document = {
        "metadata": {"interchange_format_version": "5", "genesis_validators_root": root},
        "data": [
            {"pubkey": sound, "signed_blocks": [{"slot": "9"}], "signed_attestations": [vote]},
            {"pubkey": torn, "signed_blocks": [], "signed_attestations": [
                vote, {**vote, "signing_root": "0x" + "22" * 32}, {"source_epoch": "1", "target_epoch": "4"},
            ]},
            {"pubkey": ahead, "signed_blocks": [{"slot": "99999999999"}], "signed_attestations": [
                {"source_epoch": "2", "target_epoch": "88888888"},
            ]},
        ],
    }  # fmt: skip
    (tmp_path / "protection.json").write_text(json.dumps(document))
    said = cli("slashing", "import", "protection.json", *DEVELOPMENT)
    assert said.code == 0
    assert f"{torn}: its records contradict each other (two votes for target 3 and " in said.err
    assert f"{ahead}: its records reach epoch 88888888 and slot 99999999999" in said.err
    assert sound not in said.err
    warnings = cli("slashing", "import", "protection.json", *DEVELOPMENT, "--json").json["warnings"]
    assert [each["public_key"] for each in warnings] == [torn, ahead]
    elsewhere = cli("slashing", "import", "protection.json", *DEVELOPMENT, "--set", "network.name=hoodi")
    assert ahead not in elsewhere.err, "another chain's clock tells nothing"


def test_an_import_that_the_server_refuses_before_it_has_read_it_is_told(
    cli: Cli, server: AdminServer, data: Path, tmp_path: Path
) -> None:
    (tmp_path / "protection.json").write_bytes(b" " * 8_000_000)
    server.listen_on_socket(data / "admin.sock")
    server.refuse_bodies("BODY_TOO_LARGE")
    said = cli("slashing", "import", "protection.json", *DEVELOPMENT)
    assert (said.code, said.out) == (1, "")
    assert "BODY_TOO_LARGE" in said.err


def test_a_file_that_is_not_there_is_told(cli: Cli) -> None:
    said = cli("slashing", "import", "nothing.json", *DEVELOPMENT)
    assert said.code == 1
    assert "nothing.json cannot be read: there is no such file" in said.err


# --- a restored database ---------------------------------------------------------------------------


def test_accepting_a_restore_says_what_it_costs_and_asks_first(cli: Cli, host: MemoryHost, restore_plan: Any) -> None:
    host.plan = restore_plan
    said = cli("slashing", "accept-restore", *DEVELOPMENT)
    assert said.code == 2, "nobody is there to be asked"
    for words in ("went back in time", "2 later ones are missing", "epoch 101", "slot 3263", "--yes"):
        assert words in said.err
    assert host.accepted == []


def test_a_restore_is_accepted_with_yes(cli: Cli, host: MemoryHost, restore_plan: Any) -> None:
    host.plan = restore_plan
    said = cli("slashing", "accept-restore", "--yes", "--json", *DEVELOPMENT)
    assert (said.code, said.json) == (0, {"accepted": True, "floor_epoch": 101, "floor_slot": 3263, "stays_away": []})
    assert host.accepted == [restore_plan]


def test_where_nothing_is_lost_nothing_is_accepted(cli: Cli, host: MemoryHost) -> None:
    said = cli("slashing", "accept-restore", "--yes", *DEVELOPMENT)
    assert (said.code, host.accepted) == (0, [])
    assert "nothing to accept" in said.out


# --- the network -----------------------------------------------------------------------------------


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    file = tmp_path / "token"
    file.touch(mode=0o600)
    file.write_text("correct-horse-battery-staple\nsecond line\n")
    return file


def test_an_endpoint_is_shown_the_token_and_its_prefix_is_kept(cli: Cli, server: AdminServer, token_file: Path) -> None:
    port = server.listen_on_port()
    server.answers["GET", "/signer/admin/keys"] = server.answers["GET", "/admin/keys"]
    said = cli("keys", "list", "--endpoint", f"http://127.0.0.1:{port}/signer/", "--token-file", token_file)
    assert said.code == 0
    assert server.headers[0]["Authorization"] == "Bearer correct-horse-battery-staple"
    assert "correct-horse" not in said.out + said.err


def test_a_token_that_others_can_read_is_not_used(cli: Cli, server: AdminServer, token_file: Path) -> None:
    token_file.chmod(0o644)
    said = cli("keys", "list", "--endpoint", "http://127.0.0.1:1", "--token-file", token_file)
    assert said.code == 1
    assert "chmod it to 0600" in said.err


def test_a_token_never_crosses_the_network_in_clear_text(cli: Cli, token_file: Path) -> None:
    said = cli("keys", "list", "--endpoint", "http://signer.example:9000", "--token-file", token_file)
    assert (said.code, said.out) == (2, "")
    assert "clear text" in said.err


@pytest.mark.parametrize("url", ["signer:9000", "ftp://signer", "https://", "https://user@signer", "https://signer/?x"])
def test_an_endpoint_that_is_none_is_a_wrong_command_line(cli: Cli, url: str) -> None:
    assert cli("keys", "list", "--endpoint", url).code == 2


@pytest.mark.parametrize("login", ["client:hush", ":hush", "client:hush/x", "client:hush#x"])
def test_a_credential_in_an_endpoint_is_refused_and_not_shown(cli: Cli, login: str) -> None:
    said = cli("keys", "list", "--endpoint", f"http://{login}@127.0.0.1:1")
    assert (said.code, "hush" in said.out + said.err) == (2, False)


@pytest.mark.parametrize("option", ["--token-file", "--client-certificate", "--client-key", "--ca"])
def test_a_credential_without_an_endpoint_is_a_wrong_command_line(cli: Cli, option: str) -> None:
    said = cli("keys", "list", option, "file", *DEVELOPMENT)
    assert said.code == 2
    assert "--endpoint" in said.err


def test_a_certificate_without_its_key_is_a_wrong_command_line(cli: Cli) -> None:
    assert cli("keys", "list", "--endpoint", "https://a", "--client-certificate", "x").code == 2


def test_nobody_at_the_endpoint_is_told_with_what_to_check(cli: Cli) -> None:
    import socket

    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        said = cli("keys", "list", "--endpoint", f"http://127.0.0.1:{closed.getsockname()[1]}")
    assert said.code == 1
    assert "Connection refused" in said.err
    assert "check that the server runs" in said.err


@pytest.mark.parametrize(
    "words", [("doctor",), ("init",), ("keys", "import", "x", "--passwords", "y"), ("slashing", "accept-restore")]
)
def test_what_works_only_on_the_spot_refuses_an_endpoint(cli: Cli, words: tuple[str, ...]) -> None:
    said = cli(*words, "--endpoint", "https://signer:9000")
    assert said.code == 2
    assert "--endpoint" in said.err


def test_mutual_tls_with_the_certificates_of_tls_init(cli: Cli, server: AdminServer, tmp_path: Path) -> None:
    assert cli("tls", "init", "tls", "--client", "operator").code == 0
    tls = tmp_path / "tls"
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tls / "server.pem", tls / "server.key")
    context.load_verify_locations(tls / "ca.pem")
    context.verify_mode = ssl.CERT_REQUIRED
    endpoint = ("--endpoint", f"https://localhost:{server.listen_on_port(context)}")
    ca = ("--ca", tls / "ca.pem")
    mine = ("--client-certificate", tls / "operator.pem", "--client-key", tls / "operator.key")

    assert cli("keys", "list", *endpoint, *ca, *mine).code == 0
    untrusted = cli("keys", "list", *endpoint, *mine)
    assert untrusted.code == 1
    assert "is not trusted" in untrusted.err
    assert "--ca" in untrusted.err
    unknown = cli("keys", "list", *endpoint, *ca)
    assert unknown.code == 1
    assert "UNREACHABLE" in unknown.err
    assert cli("keys", "list", *endpoint, "--ca", tls / "nothing.pem").code == 2


def test_a_server_without_these_routes_on_the_network_is_told_with_the_setting(cli: Cli, server: AdminServer) -> None:
    server.answers.clear()
    port = server.listen_on_port()
    said = cli("keys", "list", "--endpoint", f"http://127.0.0.1:{port}")
    assert said.code == 1
    assert "server.admin_over_network" in said.err
    problem = cli("keys", "list", "--endpoint", f"http://127.0.0.1:{port}", "--json").problem
    assert "server.admin_over_network" in problem["remedy"]
