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
from collections.abc import Sequence

from signer.auth.credentials import (
    BasicCredential,
    BearerCredential,
    CertificateCredential,
    Credential,
    PeerCertificate,
)
from signer.auth.principal import Principal
from signer.errors import AuthenticationError

_REMEMBERED_REFUSALS = 4096
"""Refused credentials kept; when full they are all forgotten, which costs at most one more verification each."""

_HASHES_AT_ONCE = 1
"""Passwords verified at the same time: guessing must not take the cores that sign."""


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

    async def authenticate(self, authorization: str | None, peer: PeerCertificate | None) -> Principal:
        """Who sent this Authorization header over a connection with this client certificate.

        A header wins over a certificate, and a wrong header is an error even where none is needed. Where no tokens
        and passwords are configured, a header is ignored: clients send credentials meant for a proxy.

        Raises:
            AuthenticationError: nobody we know.
        """
        if authorization is None or not (self._bearers or self._basics):
            return self._without_header(peer)
        digest = hashlib.blake2b(authorization.encode(errors="replace"), key=self._digest_key, digest_size=32).digest()
        principal = self._known.get(digest)
        if principal is None:
            principal = await self._verify_once(authorization, digest)
        return principal

    def _without_header(self, peer: PeerCertificate | None) -> Principal:
        if peer is not None:
            for credential in self._certificates:
                if credential.matches(peer):
                    return credential.principal
        if self._anonymous is None:
            raise AuthenticationError("credentials are needed: a bearer token, basic authentication or a certificate")
        return self._anonymous

    async def _verify_once(self, authorization: str, digest: bytes) -> Principal:
        principal = None if digest in self._refused else await self._verify(authorization, digest)
        if principal is None:
            if len(self._refused) >= _REMEMBERED_REFUSALS:
                self._refused.clear()
            self._refused.add(digest)
            raise AuthenticationError("these credentials are not known here")
        self._known[digest] = principal
        return principal

    async def _verify(self, authorization: str, digest: bytes) -> Principal | None:
        scheme, _, value = authorization.partition(" ")
        match scheme.lower():
            case "bearer":
                return self._find_bearer(value.strip())
            case "basic":
                return await self._find_basic(value.strip(), digest)
            case _:
                return None

    def _find_bearer(self, token: str) -> Principal | None:
        digest = hashlib.sha256(token.encode(errors="replace")).digest()
        found = None
        for credential in self._bearers:  # all of them: the time taken tells nothing
            if hmac.compare_digest(digest, credential.token_sha256):
                found = credential.principal
        return found

    async def _find_basic(self, value: str, digest: bytes) -> Principal | None:
        try:
            name, colon, password = base64.b64decode(value, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return None
        if not colon or not self._basics:
            return None
        credential = self._basics.get(name)
        # An unknown name costs as much as a known one: somebody's hash is computed, and its answer ignored.
        hashed = (credential or next(iter(self._basics.values()))).password
        async with self._hashing:
            # Many requests of one client wait here with the same header: the first one's answer is enough.
            if digest in self._known or digest in self._refused:
                return self._known.get(digest)
            right = await asyncio.to_thread(hashed.matches, password.encode())
        return credential.principal if credential is not None and right else None
