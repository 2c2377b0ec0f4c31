"""From what a caller shows to who it is.

Fails closed: whatever cannot be verified is an AuthenticationError. A credential that was verified once is recognised
by a keyed digest from then on, so the hot path is one hash and one dict look-up; so is one that was refused, so that a
client with an old password costs one scrypt and not one for every duty. The digest's key never leaves the process,
which makes the look-up's timing useless to a guesser.
"""

import asyncio
import base64
import binascii
import hashlib
import hmac
import secrets
from collections.abc import Callable, Sequence

from signer.auth.credentials import (
    BasicCredential,
    BearerCredential,
    CertificateCredential,
    Credential,
    PeerCertificate,
    SaltedSha256,
    ScryptHash,
)
from signer.auth.principal import Principal
from signer.errors import AuthenticationError

_REMEMBERED = 4096
"""Credentials kept, verified ones and refused ones each (one header can be spelt in many ways); when full they are all
forgotten, which costs at most one more verification each."""

_HASHES_AT_ONCE = 1
"""Passwords verified by scrypt at the same time: guessing must not take the cores that sign."""

_HASHES_WAITING = 16
"""Different headers that may wait for it, 1.5 s at most. Beyond, everybody is refused, and who is right asks again."""

ConnectedTest = Callable[[], bool]
"""True while somebody is there to read the answer."""


def _connected() -> bool:
    return True


class Authenticator:
    """Knows the principals of the configuration. One instance for the life of a configuration, on one event loop."""

    def __init__(self, credentials: Sequence[Credential], *, anonymous: Principal | None) -> None:
        """`anonymous` is who somebody without credentials is; None means that credentials are demanded."""
        self._anonymous = anonymous
        self._bearers = tuple(one for one in credentials if isinstance(one, BearerCredential))
        self._basics = {one.name: one for one in credentials if isinstance(one, BasicCredential)}
        self._certificates = tuple(one for one in credentials if isinstance(one, CertificateCredential))
        self._digest_key = secrets.token_bytes(32)
        self._known: dict[bytes, Principal] = {}
        self._refused: set[bytes] = set()
        self._hashing = asyncio.Semaphore(_HASHES_AT_ONCE)
        self._verifying: dict[bytes, int] = {}
        """How many requests wait for the verdict on a header, by its digest."""

        self._stranger = next(
            (one.password for one in self._basics.values() if isinstance(one.password, SaltedSha256)),
            next((one.password for one in self._basics.values()), None),
        )
        """What a password for an unknown name is compared with."""

    async def authenticate(
        self, authorization: str | None, peer: PeerCertificate | None, connected: ConnectedTest = _connected
    ) -> Principal:
        """Who sent this Authorization header over a connection with this client certificate.

        A header wins over a certificate, and a wrong header is an error even where none is needed. Where no tokens
        and passwords are configured, a header is ignored: clients send credentials meant for a proxy. `connected`
        tells whether the answer can still be read: nothing is hashed for who has gone.

        Raises:
            AuthenticationError: nobody we know; or too many are being verified, and asking again is right.
        """
        if authorization is None or not (self._bearers or self._basics):
            return self._without_header(peer)
        digest = hashlib.blake2b(authorization.encode(errors="replace"), key=self._digest_key, digest_size=32).digest()
        principal = self._known.get(digest)
        if principal is None:
            principal = await self._verify_once(authorization, digest, connected)
        return principal

    def _without_header(self, peer: PeerCertificate | None) -> Principal:
        if peer is not None:
            for credential in self._certificates:
                if credential.matches(peer):
                    return credential.principal
        if self._anonymous is None:
            raise AuthenticationError("credentials are needed: a bearer token, basic authentication or a certificate")
        return self._anonymous

    async def _verify_once(self, authorization: str, digest: bytes, connected: ConnectedTest) -> Principal:
        principal = None if digest in self._refused else await self._verify(authorization, digest, connected)
        if principal is None:
            if len(self._refused) >= _REMEMBERED:
                self._refused.clear()
            self._refused.add(digest)
            raise AuthenticationError("these credentials are not known here")
        if len(self._known) >= _REMEMBERED:
            self._known.clear()
        self._known[digest] = principal
        return principal

    async def _verify(self, authorization: str, digest: bytes, connected: ConnectedTest) -> Principal | None:
        scheme, _, value = authorization.partition(" ")
        match scheme.lower():
            case "bearer":
                return self._find_bearer(value.strip())
            case "basic":
                return await self._find_basic(value.strip(), digest, connected)
            case _:
                return None

    def _find_bearer(self, token: str) -> Principal | None:
        digest = hashlib.sha256(token.encode(errors="replace")).digest()
        found = None
        for credential in self._bearers:  # all of them: the time taken tells nothing
            if hmac.compare_digest(digest, credential.token_sha256):
                found = credential.principal
        return found

    async def _find_basic(self, value: str, digest: bytes, connected: ConnectedTest) -> Principal | None:
        try:
            name, colon, password = base64.b64decode(value, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return None
        credential = self._basics.get(name)
        # An unknown name costs as much as a known one: somebody's hash is computed, and its answer ignored. Where both
        # kinds are configured it is the quick one, so that invented names cannot fill the queue of the slow one.
        hashed = self._stranger if credential is None else credential.password
        if not colon or hashed is None:
            return None
        if isinstance(hashed, SaltedSha256):
            right = hashed.matches(password.encode())
        else:
            right = await self._match_slowly(hashed, password, digest, connected)
        return credential.principal if credential is not None and right else None

    async def _match_slowly(self, hashed: ScryptHash, password: str, digest: bytes, connected: ConnectedTest) -> bool:
        """Raises AuthenticationError where nothing was verified: such a header is not remembered as refused."""
        waiting = self._verifying.get(digest, 0)
        if not waiting and len(self._verifying) >= _HASHES_WAITING:
            raise AuthenticationError("too many passwords are being verified; ask again in a moment")
        self._verifying[digest] = waiting + 1
        try:
            async with self._hashing:
                # Many requests of one client wait here with the same header: the first one's answer is enough.
                if digest in self._known or digest in self._refused:
                    return digest in self._known
                if not connected():
                    raise AuthenticationError("the connection was closed before the password was verified")
                return await asyncio.to_thread(hashed.matches, password.encode())
        finally:
            self._verifying[digest] -= 1
            if not self._verifying[digest]:
                del self._verifying[digest]
