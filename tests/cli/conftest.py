"""A command line to type on, a signer in memory to ask, and a server that answers as the real one does."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from aiohttp import web
from cli_line import DOCUMENT, KEY_A, AdminServer, Cli, MemoryHost, Transcript

from signer.cli.main import run
from signer.errors import DataDirectoryInUseError
from signer.operations.restore import RestorePlan
from signer.units import Epoch, Slot


@pytest.fixture
def host() -> MemoryHost:
    return MemoryHost()


@pytest.fixture
def cli(host: MemoryHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Cli:
    """Types a command line in an empty directory."""
    monkeypatch.chdir(tmp_path)

    def type_line(*words: str | Path, environ: dict[str, str] | None = None) -> Transcript:
        capfd.readouterr()
        code = run(lambda: host, [str(word) for word in words], environ=environ or {})
        said = capfd.readouterr()
        return Transcript(code, said.out, said.err)

    return type_line


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data directory for the preset `development`, whose admin socket is short enough to have a name."""
    directory = tmp_path / "data"
    directory.mkdir(mode=0o700)
    return directory


@pytest.fixture
def in_use(host: MemoryHost) -> None:
    """Another process holds the data directory's lock."""
    host.refusal = DataDirectoryInUseError(
        "another Holdfast (process 4711) uses /data", remedy="stop it first", evidence={"process": "4711"}
    )


@pytest.fixture
def restore_plan() -> RestorePlan:
    return RestorePlan("the database went back in time", 40, 2, 3, Epoch(101), Slot(3263))


@pytest.fixture
def server() -> Iterator[AdminServer]:
    """The admin routes with answers like the real ones; it listens where a test wants it to."""
    admin = AdminServer()
    admin.answer_json(
        "GET", "/admin/keys",
        {"keys": [{"public_key": "0x" + KEY_A.hex(), "namespace": "default", "origin": "file-keystore",
                   "derivation_path": None, "a member of a later version": 1}]},
    )  # fmt: skip
    admin.answer_json(
        "GET", "/admin/status",
        {"version": "0.1.0", "network": "mainnet", "data_directory": "/data", "ready": True,
         "keys": {"loaded": 4, "errors": 0, "sources": []}, "reload": {}, "journal": {"audit_entries": 12}},
    )  # fmt: skip
    admin.answer_json("POST", "/admin/audit/verify", {"entries": 1234, "head": "0x" + "ab" * 32})
    admin.answer_json(
        "POST", "/admin/slashing/import",
        {"validators": [{"public_key": "0x" + KEY_A.hex(), "blocks": 3, "attestations": 7, "error": None}]},
    )  # fmt: skip
    marks = {"low_epoch": None, "low_slot": None, "high_epoch": None, "high_slot": None}
    admin.answer_json("GET", "/admin/slashing/status", {"watermarks": marks, "keys": [], "next_after": None})
    admin.answer_json("POST", "/admin/reload", {"status": "accepted", "message": "reloading"}, status=202)
    admin.answer_json("GET", "/reload", {"status": "completed", "lastOperationTime": "2026-01-01T00:00:00Z"})

    async def export(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        response.enable_chunked_encoding()
        await response.prepare(request)
        await response.write(DOCUMENT[:5])
        await response.write(DOCUMENT[5:])
        await response.write_eof()
        return response

    admin.answer("GET", "/admin/slashing/export", export)
    admin.start()
    yield admin
    admin.stop()
