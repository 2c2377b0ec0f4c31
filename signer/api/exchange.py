"""One request and everything its handler needs to answer it."""

import asyncio
import re
from collections.abc import AsyncIterator
from typing import Any

from aiohttp import HttpVersion11, web

from signer.api.decoding import INLINE_BODY_BYTES, DecodingThread
from signer.api.problems import Problem, problem_members, problem_of
from signer.api.receiving import Share
from signer.api.services import Services
from signer.api.settings import ApiSettings
from signer.auth.principal import Caller, Principal
from signer.errors import BodyTooLargeError, MalformedRequestError, SignerError
from signer.events import RequestRefused
from signer.intent import SignDuty
from signer.units import Signature

_REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,64}")


NOBODY = Caller(Principal("-", actions=frozenset(), keys=frozenset(), duties=frozenset()))
"""Who asks before authentication: may do nothing."""

UNMATCHED = "unmatched"
"""The route of a request that has none."""


class Exchange:
    """One request on its way to its answer. Owned by the task that answers it."""

    __slots__ = (
        "_share",
        "address",
        "caller",
        "decoding",
        "duty_type",
        "policies",
        "public_key",
        "request",
        "request_id",
        "route",
        "services",
        "settings",
        "signs",
        "tail",
    )

    def __init__(
        self,
        request: web.BaseRequest,
        request_id: bytes,
        *,
        address: str,
        services: Services,
        settings: ApiSettings,
        decoding: DecodingThread,
    ) -> None:
        self.request = request
        self.request_id = request_id
        self.address = address
        self.services = services
        self.settings = settings
        self.decoding = decoding
        self.caller = NOBODY
        self.route = UNMATCHED
        """The route's template, once it is found."""
        self.signs = False
        """True on routes whose answer is a signature."""
        self.tail = ""
        """The path's parameter, as it was sent."""
        self.duty_type = ""
        """Filled in by the handlers that sign, for the metrics and for refusals."""
        self.public_key = b""
        """The key that is asked for, on routes that sign with one; for refusals."""
        self.policies: list[dict[str, Any]] | None = None
        """What each policy said, on routes that tell it with every answer."""
        self._share: Share | None = None
        """The room of a large body, until the answer is made."""

    def problem_of(self, error: SignerError) -> Problem:
        """The problem that tells this caller of an error."""
        return problem_of(error, policy_refusal=self.settings.policy_refusal_status, signs=self.signs)

    def refuse(self, problem: Problem, *, entry: SignDuty | None = None) -> dict[str, Any]:
        """Log a problem that this caller is told of; its document's members. `entry`: the entry of a batch it is of."""
        request_id = self.request_id.hex()
        public_key, duty_type = (
            (self.public_key, self.duty_type) if entry is None else (entry.public_key, entry.duty.type)
        )
        shown_key = "0x" + public_key.hex() if public_key else ""
        self.services.events.publish(
            RequestRefused(
                request_id=request_id,
                caller_request_id=self.caller_request_id(),
                principal=self.caller.principal.name,
                address=self.address,
                route=self.route,
                status=problem.status,
                code=problem.code,
                sentence=problem.detail,
                evidence=problem.evidence,
                public_key=shown_key,
                duty_type=duty_type,
            )
        )
        members = problem_members(problem, request_id)
        if self.signs:
            about = {"public_key": shown_key, "duty_type": duty_type, "error": problem.detail}
            members.update((name, value) for name, value in about.items() if value)
        if self.policies is not None:
            members["policies"] = self.policies
        if self.route.startswith("/eth/v1/"):
            members["message"] = problem.detail  # where the key manager API's clients look for it
        return members

    def caller_request_id(self) -> str:
        """The caller's own X-Request-Id if it is well-formed: for our log only, never echoed."""
        text = self.request.headers.get("X-Request-Id", "")
        return text if _REQUEST_ID.fullmatch(text) else ""

    @property
    def may_be_large(self) -> bool:
        """True if the body is announced as too large for the event loop, or not announced at all.

        Whoever sends such a body is asked for the right to it before a byte of it is read.
        """
        announced = self.request.content_length
        return announced is None or announced > INLINE_BODY_BYTES

    async def read_body(self, limit_bytes: int) -> bytes:
        """The whole body. A large one waits for room first, and keeps it until `release`.

        Raises:
            BodyTooLargeError: more than `limit_bytes`, announced or sent.
            MalformedRequestError: broken chunks, or too slow.
            NoRoomError: too many large bodies are on their way, or this one was too slow while others waited.
        """
        request = self.request
        announced = request.content_length
        if announced is not None and announced > limit_bytes:
            raise _too_large(limit_bytes)
        content = request.content
        if content.is_eof():  # the usual case: head and body came in one segment
            body = content.read_nowait()
            if len(body) > limit_bytes:
                raise _too_large(limit_bytes)
            if len(body) > INLINE_BODY_BYTES:
                self._share = await self._take_room(len(body))
            return body
        if announced is not None and announced > INLINE_BODY_BYTES:
            self._share = await self._take_room(announced)
        try:
            async with asyncio.timeout(self.settings.body_timeout_seconds) as limit:
                return await self._gather(limit_bytes, limit)
        except TimeoutError:
            hurried = self._share is not None and self._share.hurried
            raise (self.services.body_room.too_slow() if hurried else _too_slow()) from None

    async def _gather(self, limit_bytes: int, limit: asyncio.Timeout) -> bytes:
        """The body's pieces, joined. One of unknown length has room for the largest once it is large."""
        room = self.services.body_room
        pieces, received = [], 0
        if self._share is not None:
            room.watch(self._share, limit)
        try:
            async for piece in self.stream_body(limit_bytes):
                pieces.append(piece)
                received += len(piece)
                if received > INLINE_BODY_BYTES and self._share is None:
                    self._share = await self._take_room(limit_bytes)
                    room.watch(self._share, limit)
        finally:
            if self._share is not None:
                room.unwatch(self._share)
        if self._share is not None:
            room.shrink(self._share, received)
        return b"".join(pieces)

    async def _take_room(self, size_bytes: int) -> Share:
        patience_seconds = self.settings.request_deadline_seconds
        return await self.services.body_room.take(size_bytes, patience_seconds=patience_seconds)

    def release(self) -> None:
        """The answer is made: others may have this body's room."""
        room = self.services.body_room
        if self._share is not None:
            room.give_back(self._share)
            self._share = None
        elif not self.request.content.is_eof():
            room.trim_later()  # what came of a body that was not read to its end

    async def stream_body(self, limit_bytes: int) -> AsyncIterator[bytes]:
        """The body in pieces, as they arrive; here the time limit is for each piece.

        Raises as `read_body`; the pieces before an error are to be thrown away.
        """
        announced = self.request.content_length
        if announced is not None and announced > limit_bytes:
            raise _too_large(limit_bytes)
        await self.invite_body()
        received = 0
        while piece := await self._next_piece():
            received += len(piece)
            if received > limit_bytes:
                raise _too_large(limit_bytes)
            yield piece

    async def _next_piece(self) -> bytes:
        try:
            async with asyncio.timeout(self.settings.body_timeout_seconds):
                return await self.request.content.readany()
        except TimeoutError:
            raise _too_slow() from None
        except web.RequestPayloadError as error:
            raise MalformedRequestError("the body's transfer coding is broken") from error

    async def invite_body(self) -> None:
        """Answer `Expect: 100-continue`, now that the caller is known and the announced length is acceptable."""
        request = self.request
        if request.headers.get("Expect", "").lower() == "100-continue" and request.version >= HttpVersion11:
            await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")


def _too_large(limit_bytes: int) -> BodyTooLargeError:
    return BodyTooLargeError(
        f"the body is larger than this route takes ({limit_bytes} bytes)", evidence={"limit_bytes": limit_bytes}
    )


def _too_slow() -> MalformedRequestError:
    return MalformedRequestError("the body did not arrive in time")


def signature_text(signature: Signature) -> bytes:
    """`0x` and 192 lower-case digits."""
    return b"0x" + signature.hex().encode("ascii")
