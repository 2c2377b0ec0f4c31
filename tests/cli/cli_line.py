"""A command line to type on, a signer in memory to ask, and a server in a thread that answers as the real one does."""

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import web
from custody_twin import CustodyTwin
from freezing_twin import FreezingTwin

from signer.config.sections import Config
from signer.errors import AuditError, SignerError
from signer.operations.key_manager import Deletion
from signer.operations.manage_keys import KeyDescription
from signer.operations.orders import Carried
from signer.operations.protect import WHOLE, ImportedValidator, ImportOptions
from signer.operations.read_audit import AuditPage, AuditQuery, ToldEntry
from signer.operations.record_status import RecordStatus, ToldWatermarks
from signer.operations.restore import RestorePlan
from signer.units import PublicKey

KEY_A = PublicKey(b"\xa1" * 48)
KEY_B = PublicKey(b"\xb2" * 48)
DOCUMENT = b'{"metadata": {"interchange_format_version": "5"}, "data": []}'

NO_MARKS = ToldWatermarks(None, None, None, None)


@dataclass
class Report:
    entries: int
    head: bytes


@dataclass
class MemoryKeys:
    loaded: bool

    def describe_keys(self, _caller: Any) -> tuple[KeyDescription, ...]:
        keys = (
            KeyDescription(KEY_A, "default", "file-keystore", "m/12381/3600/0/0/0"),
            KeyDescription(KEY_B, "default", "file-raw", None),
        )
        return keys if self.loaded else ()


@dataclass
class MemoryProtection:
    imported: list[bytes]

    def export_interchange(self, _caller: Any, _selection: Any) -> Iterator[bytes]:
        yield DOCUMENT[:10]
        yield DOCUMENT[10:]

    async def import_interchange(
        self, file: Path, _caller: Any, options: ImportOptions = WHOLE
    ) -> tuple[ImportedValidator, ...]:
        self.imported.append(file.read_bytes())
        return (ImportedValidator(KEY_A, 3, 7, None),)


@dataclass
class MemoryExplaining:
    """A record of one low watermark, or of none."""

    marks: ToldWatermarks

    async def status(self, _caller: Any, *, public_key: Any, after: bytes) -> RecordStatus:
        await asyncio.sleep(0)
        assert public_key is None
        assert after, "the keys themselves are not asked for"
        return RecordStatus(self.marks, (), None)


class MemoryKeyManager:
    """Deletes what it is told to, and allows it again."""

    async def delete_keys(self, keys: Any, _caller: Any) -> Deletion:
        return Deletion(tuple(Carried(key, "deleted") for key in keys), DOCUMENT)

    async def allow_keys(self, keys: Any, _caller: Any) -> tuple[Carried, ...]:
        return tuple(Carried(key, "allowed") for key in keys)


@dataclass
class MemoryOperations:
    keys: MemoryKeys
    protection: MemoryProtection
    freezing: FreezingTwin
    key_manager: MemoryKeyManager
    broken: bool
    custody: CustodyTwin = field(default_factory=CustodyTwin)
    policy_management: Any = None
    who_can: Any = None
    kept_decisions: Any = None
    explaining: MemoryExplaining = field(default_factory=lambda: MemoryExplaining(NO_MARKS))

    async def verify_audit(self, _caller: Any) -> Report:
        await asyncio.sleep(0)
        if self.broken:
            raise AuditError("entry 7 was changed", evidence={"index": 7})
        return Report(12, b"\xee" * 32)

    async def read_audit(self, query: AuditQuery, _caller: Any) -> AuditPage:
        """Of a log of 3 entries that begins at 100; each call reads one."""
        await asyncio.sleep(0)
        index = 102 if query.before is None else query.before - 1
        return AuditPage((told(index),), index if index > 100 else None, 100)


def told(index: int, key: bytes = KEY_A) -> ToldEntry:
    """A refusal, as the audit log tells it."""
    return ToldEntry(
        index=index,
        time="2026-01-02T03:04:05.678Z",
        kind="duty",
        outcome="refused",
        principal="alice",
        request_id="0011223344556677",
        public_key="0x" + key.hex(),
        duty="ATTESTATION",
        span={"source_epoch": 0, "target_epoch": 5},
        signing_root="",
        code="DOUBLE_VOTE",
        note="target_epoch=5",
        repeat=False,
        blind=True,
    )


@dataclass
class MemoryHost:
    """The program, in memory."""

    served: list[Config] = field(default_factory=list)
    imported: list[bytes] = field(default_factory=list)
    freezing: FreezingTwin = field(default_factory=FreezingTwin)
    refusal: SignerError | None = None
    audit_broken: bool = False
    marks: ToldWatermarks = NO_MARKS
    plan: RestorePlan | None = None
    accepted: list[RestorePlan] = field(default_factory=list)
    anyway: bool = False
    closed: int = 0
    new: frozenset[PublicKey] = frozenset()
    """Keys that no server has served yet, without history."""

    def version(self) -> str:
        return "9.8.7"

    def serve(self, config: Config) -> int:
        if self.refusal:
            raise self.refusal
        self.served.append(config)
        return 0

    @asynccontextmanager
    async def open_offline(self, config: Config, *, load_keys: bool) -> AsyncIterator[MemoryOperations]:
        if self.refusal:
            raise self.refusal
        loop = asyncio.get_running_loop()
        custody = CustodyTwin()
        custody.new = self.new
        try:
            yield MemoryOperations(
                MemoryKeys(load_keys),
                MemoryProtection(self.imported),
                self.freezing,
                MemoryKeyManager(),
                self.audit_broken,
                custody,
                explaining=MemoryExplaining(self.marks),
            )
        finally:
            assert asyncio.get_running_loop() is loop, "opened and closed on one loop"
            self.closed += 1

    def plan_restore(self, _config: Config, *, anyway: bool) -> RestorePlan | None:
        self.anyway = anyway
        return self.plan

    def accept_restore(self, _config: Config, plan: RestorePlan) -> None:
        self.accepted.append(plan)


@dataclass(frozen=True)
class Transcript:
    """What a command said."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def problem(self) -> Any:
        return json.loads(self.err)


Cli = Callable[..., Transcript]


Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class AdminServer:
    """A server in a thread of its own, with the admin routes as `api/admin.py` publishes them."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, str, bytes]] = []
        self.headers: list[dict[str, str]] = []
        self.answers: dict[tuple[str, str], Handler] = {}
        self.refusal = ""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._runner: web.ServerRunner | None = None

    def answer(self, method: str, path: str, handler: Handler) -> None:
        self.answers[method, path] = handler

    def answer_json(self, method: str, path: str, body: Any, status: int = 200) -> None:
        async def handler(_request: web.Request) -> web.Response:
            kind = "application/json" if status < 400 else "application/problem+json"
            return web.Response(status=status, body=json.dumps(body).encode(), content_type=kind)

        self.answer(method, path, handler)

    def refuse_bodies(self, code: str) -> None:
        """From now on every answer is a 413, given before the body is read."""
        self.refusal = code

    def start(self) -> None:
        self._thread.start()
        self._run(self._start())

    def listen_on_socket(self, path: Path) -> None:
        self._run(self._site(lambda runner: web.UnixSite(runner, str(path))))

    def listen_on_port(self, ssl_context: Any = None) -> int:
        site = self._run(self._site(lambda runner: web.TCPSite(runner, "127.0.0.1", 0, ssl_context=ssl_context)))
        return int(site._server.sockets[0].getsockname()[1])

    def stop(self) -> None:
        if self._runner is not None:
            self._run(self._runner.cleanup())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def _run(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _start(self) -> None:
        self._runner = web.ServerRunner(web.Server(self._handle))
        await self._runner.setup()

    async def _site(self, build: Callable[[web.ServerRunner], web.BaseSite]) -> web.BaseSite:
        assert self._runner is not None
        site = build(self._runner)
        await site.start()
        return site

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        if self.refusal:
            problem = json.dumps({"detail": "too large", "code": self.refusal}).encode()
            answer = web.Response(status=413, body=problem, content_type="application/problem+json")
            answer.force_close()
            return answer
        handler = self.answers.get((request.method, request.path))
        self.headers.append(dict(request.headers))
        if handler is None:
            self.requests.append((request.method, request.path, b""))
            return web.Response(status=404, text="no such route")
        self.requests.append((request.method, request.path, await request.read()))
        return await handler(request)
