"""Real handshakes with both engines, on both event loops: who is let in, and what is offered."""

import asyncio
import contextlib
import json
import socket
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import uvloop
from certificate_twins import Made, client_context, make
from http_twins import KEY, World, attestation, block, listening, signature_of

from signer.api.tls import HotContext
from signer.auth.authenticate import Authenticator
from signer.auth.credentials import CertificateCredential
from signer.auth.principal import Principal
from signer.config.server import TlsSettings
from signer.events import ConnectionRefused

TLS_1_2, TLS_1_3 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
SIGN = f"/api/v1/eth2/sign/0x{KEY.hex()}"
BODY = json.dumps(attestation()).encode()
TEXT = ("0x" + signature_of(KEY).hex()).encode()

LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


@pytest.fixture(params=LOOPS)
def run(request) -> Callable[[Awaitable], object]:
    """Runs a coroutine on one of the two event loops."""

    def on_loop(coroutine):
        with asyncio.Runner(loop_factory=LOOPS[request.param]) as runner:
            return runner.run(coroutine)

    return on_loop


class Party:
    """Everybody's certificates."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.server = make(directory, "localhost")
        self.authority = make(directory, "authority", authority=True)
        self.stranger_authority = make(directory, "stranger authority", authority=True)
        self.listed = make(directory, "listed client")
        self.listed_for_servers = make(directory, "server too", server_only=True)
        self.listed_but_expired = make(directory, "expired", expired=True)
        self.listed_and_issued = make(directory, "issued and listed", issuer=self.stranger_authority)
        self.wrong_name = make(directory, "real name")
        self.unlisted = make(directory, "unlisted")
        self.issued = make(directory, "issued", issuer=self.authority)
        self.issued_by_stranger = make(directory, "listed client", issuer=self.stranger_authority)
        self.issued_but_expired = make(directory, "issued, expired", issuer=self.authority, expired=True)
        self.known = directory / "known-clients.txt"
        lines = [
            "# those who may sign",
            *(f"{one.certificate.subject.rfc4514_string()[3:]} {one.fingerprint}" for one in self._listed()),
            f"another name {self.wrong_name.fingerprint}  # the fingerprint is right, the name is not",
            "",
        ]
        self.known.write_text("\n".join(lines))

    def _listed(self) -> list[Made]:
        return [self.listed, self.listed_for_servers, self.listed_but_expired, self.listed_and_issued]

    def settings(self, *, known: bool = False, ca: bool = False, minimum: str = "1.2") -> TlsSettings:
        return TlsSettings(
            certificate_file=self.server.certificate_file,
            key_file=self.server.key_file,
            known_clients_file=self.known if known else None,
            client_ca_file=self.authority.certificate_file if ca else None,
            allow_any_client=not known and not ca,
            minimum_version=minimum,
        )


@pytest.fixture(scope="module")
def party(tmp_path_factory) -> Party:
    return Party(tmp_path_factory.mktemp("certificates"))


async def sign_over(settings: TlsSettings, client: ssl.SSLContext, *, times: int = 1) -> bytes:
    """The last answer's body. Raises ConnectionError or SSLError when the server does not let the client in."""
    async with listening(World(), tls=HotContext.load(settings)) as listener, listener.client(client) as raw:
        for _ in range(times):
            answer = await raw.ask("POST", SIGN, body=BODY)
        return answer.body


REFUSED = (ssl.SSLError, ConnectionError, asyncio.IncompleteReadError)


@pytest.mark.parametrize("version", [TLS_1_2, TLS_1_3])
@pytest.mark.parametrize(
    ("known", "ca", "shows", "admitted"),
    [
        (False, False, None, True),
        (False, False, "unlisted", True),
        (True, False, "listed", True),
        (True, False, "listed_for_servers", True),
        (True, False, "listed_and_issued", True),
        (True, False, "listed_but_expired", False),
        (True, False, "unlisted", False),
        (True, False, "wrong_name", False),
        (True, False, "issued", False),
        (True, False, "issued_by_stranger", False),
        (True, False, None, False),
        (True, True, "listed", True),
        (True, True, "issued", True),
        (True, True, "issued_by_stranger", False),
        (True, True, "issued_but_expired", False),
        (True, True, "unlisted", False),
        (True, True, None, False),
        (False, True, "issued", True),
        (False, True, "issued_by_stranger", False),
        (False, True, "issued_but_expired", False),
        (False, True, "listed", False),
        (False, True, None, False),
    ],
)
def test_exactly_the_clients_of_the_policy_are_let_in(run, party, version, known, ca, shows, admitted):
    client = client_context(party.server, shows=shows and getattr(party, shows), version=version)
    settings = party.settings(known=known, ca=ca)
    if admitted:
        assert run(sign_over(settings, client, times=3)) == TEXT
    else:
        with pytest.raises(REFUSED):
            run(sign_over(settings, client))


@pytest.mark.parametrize("known", [False, True])
def test_a_client_that_speaks_only_tls_1_1_is_refused_and_one_that_speaks_only_1_2_is_not(run, party, known):
    for version, admitted in ((ssl.TLSVersion.TLSv1_1, False), (TLS_1_2, True)):
        client = client_context(party.server, shows=party.listed)
        with pytest.warns(DeprecationWarning, match="TLSv1_1") if not admitted else _quiet():
            client.minimum_version = client.maximum_version = version
        client.set_ciphers("DEFAULT:@SECLEVEL=0")
        if admitted:
            assert run(sign_over(party.settings(known=known), client)) == TEXT
        else:
            with pytest.raises(REFUSED):
                run(sign_over(party.settings(known=known), client))


@pytest.mark.parametrize("known", [False, True])
def test_the_minimum_version_can_be_1_3(run, party, known):
    settings = party.settings(known=known, minimum="1.3")
    assert run(sign_over(settings, client_context(party.server, shows=party.listed, version=TLS_1_3))) == TEXT
    with pytest.raises(REFUSED):
        run(sign_over(settings, client_context(party.server, shows=party.listed, version=TLS_1_2)))


@pytest.mark.parametrize("known", [False, True])
def test_http_2_is_not_chosen_from_a_list_that_has_it_first(run, party, known):
    client = client_context(party.server, shows=party.listed)
    client.set_alpn_protocols(["h2", "http/1.1"])

    async def chosen() -> str | None:
        async with (
            listening(World(), tls=HotContext.load(party.settings(known=known))) as listener,
            listener.client(client) as raw,
        ):
            assert (await raw.ask("GET", "/upcheck")).status == 200
            return raw.writer.get_extra_info("ssl_object").selected_alpn_protocol()

    assert run(chosen()) == "http/1.1"


@pytest.mark.parametrize("known", [False, True])
@pytest.mark.parametrize("weak", ["AES128-SHA", "ECDHE-ECDSA-AES128-SHA", "AES128-GCM-SHA256"])
def test_ciphers_without_forward_secrecy_or_authentication_are_not_taken(run, party, known, weak):
    client = client_context(party.server, shows=party.listed, version=TLS_1_2)
    client.set_ciphers(weak)
    with pytest.raises(REFUSED):
        run(sign_over(party.settings(known=known), client))


@pytest.mark.parametrize("version", [TLS_1_2, TLS_1_3])
@pytest.mark.parametrize("known", [False, True])
def test_a_session_is_resumed_by_ticket_and_its_client_still_known(party, known, version):
    client = client_context(party.server, shows=party.listed, version=version)
    carol = Principal("carol")
    world = World()

    def connect(port: int, session: ssl.SSLSession | None) -> tuple[ssl.SSLSession, bool]:
        import socket

        with (
            socket.create_connection(("127.0.0.1", port)) as plain,
            client.wrap_socket(plain, server_hostname="localhost", session=session) as tls,
        ):
            head = f"POST {SIGN} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(BODY)}\r\n\r\n"
            tls.sendall(head.encode() + BODY)
            answer = tls.recv(65536)
            assert answer.startswith(b"HTTP/1.1 200"), answer
            return tls.session, bool(tls.session_reused)

    async def main() -> None:
        fingerprint = bytes.fromhex(party.listed.fingerprint.replace(":", ""))
        gate = Authenticator([CertificateCredential(carol, None, fingerprint)], anonymous=None if known else carol)
        tls = HotContext.load(party.settings(known=known))
        async with listening(world, authenticator=gate, tls=tls) as listener:
            session, reused = await asyncio.to_thread(connect, listener.port, None)
            assert not reused
            _, reused = await asyncio.to_thread(connect, listener.port, session)
            assert reused

    asyncio.run(main())
    assert [caller.principal for caller in world.signing.callers] == [carol, carol]


@pytest.mark.parametrize(("known", "ca", "shows"), [(True, False, "listed"), (False, True, "issued")])
def test_a_client_certificate_names_a_principal(run, party, known, ca, shows):
    made = getattr(party, shows)
    carol = Principal("carol")
    name = made.certificate.subject.rfc4514_string()[3:]
    world = World()

    async def main() -> int:
        gate = Authenticator([CertificateCredential(carol, common_name=name)], anonymous=None)
        tls = HotContext.load(party.settings(known=known, ca=ca))
        async with (
            listening(world, authenticator=gate, tls=tls) as listener,
            listener.client(client_context(party.server, shows=made)) as raw,
        ):
            return (await raw.ask("POST", SIGN, body=BODY)).status

    assert run(main()) == 200
    assert world.signing.callers[0].principal is carol


def test_a_client_without_the_principals_certificate_is_401_and_not_refused_by_tls(run, party):
    async def main() -> int:
        gate = Authenticator([CertificateCredential(Principal("carol"), common_name="somebody else")], anonymous=None)
        tls = HotContext.load(party.settings(known=True))
        async with (
            listening(World(), authenticator=gate, tls=tls) as listener,
            listener.client(client_context(party.server, shows=party.listed)) as raw,
        ):
            return (await raw.ask("POST", SIGN, body=BODY)).status

    assert run(main()) == 401


@pytest.mark.parametrize("known", [False, True])
def test_large_bodies_and_large_answers_pass_through(run, party, known):
    world = World()
    world.keys.keys = tuple(number.to_bytes(48, "big") for number in range(20_000))

    async def main() -> None:
        async with (
            listening(world, tls=HotContext.load(party.settings(known=known))) as listener,
            listener.client(client_context(party.server, shows=party.listed)) as raw,
        ):
            padded = json.dumps(block(pad="x" * 5_000_000)).encode()
            assert (await raw.ask("POST", SIGN, body=padded)).body == TEXT
            answer = await raw.ask("GET", "/api/v1/eth2/publicKeys")
            assert len(json.loads(answer.body)) == 20_000

    run(main())


@pytest.mark.parametrize("known", [False, True])
def test_a_hundred_handshakes_at_once_are_all_served(run, party, known):
    async def main() -> None:
        client = client_context(party.server, shows=party.listed)
        async with listening(World(), tls=HotContext.load(party.settings(known=known))) as listener:

            async def ask() -> bytes:
                async with listener.client(client) as raw:
                    return (await raw.ask("POST", SIGN, body=BODY)).body

            assert set(await asyncio.gather(*(ask() for _ in range(100)))) == {TEXT}
            while listener.server.door.open_connections:
                await asyncio.sleep(0)

    run(main())


@pytest.mark.parametrize("garbage", [b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\x16\x03\x01\x00\x05hello", b"\x00" * 100])
@pytest.mark.parametrize("known", [False, True])
def test_bytes_that_are_not_tls_close_the_connection_and_harm_nobody(run, party, known, garbage):
    async def main() -> None:
        async with listening(World(), tls=HotContext.load(party.settings(known=known))) as listener:
            async with listener.client() as plain:
                await plain.send(garbage)
                await asyncio.wait_for(plain.reader.read(), 60)  # at most an alert, then the end
            async with listener.client(client_context(party.server, shows=party.listed)) as raw:
                assert (await raw.ask("GET", "/upcheck")).status == 200

    run(main())


def test_a_new_certificate_and_list_serve_new_connections_and_leave_old_ones_alone(run, tmp_path):
    party = Party(tmp_path)
    settings = party.settings(known=True)

    async def main() -> None:
        context = HotContext.load(settings)
        async with listening(World(), tls=context) as listener:
            async with listener.client(client_context(party.server, shows=party.listed)) as old:
                assert (await old.ask("GET", "/upcheck")).status == 200
                fresh = make(party.directory, "localhost")
                party.server.certificate_file.write_bytes(fresh.certificate_file.read_bytes())
                party.server.key_file.write_bytes(fresh.key_file.read_bytes())
                party.known.write_text(f"unlisted {party.unlisted.fingerprint}\n")
                context.reload()
                assert (await old.ask("GET", "/upcheck")).status == 200
            async with listener.client(client_context(fresh, shows=party.unlisted)) as new:
                assert (await new.ask("GET", "/upcheck")).status == 200
            with pytest.raises(REFUSED):
                async with listener.client(client_context(fresh, shows=party.listed)) as revoked:
                    await revoked.ask("GET", "/upcheck")

    run(main())


def _quiet():
    import contextlib

    return contextlib.nullcontext()


async def refused_reasons(settings: TlsSettings, attempt: Callable[[int], Awaitable[None]]) -> list[tuple[str, str]]:
    """What the log is told of one attempt to connect."""
    world = World()
    refused = world.seen(ConnectionRefused)
    async with listening(world, tls=HotContext.load(settings)) as listener:
        await attempt(listener.port)
        for _ in range(200):
            if refused:
                break
            await asyncio.sleep(0.01)
    return [(event.address, event.reason) for event in refused]


def shaking_hands(client: ssl.SSLContext) -> Callable[[int], Awaitable[None]]:
    async def attempt(port: int) -> None:
        with contextlib.suppress(*REFUSED):
            reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=client, server_hostname="localhost")
            await reader.read()  # with TLS 1.3 the client hears of its refusal only now
            writer.close()

    return attempt


def saying(data: bytes) -> Callable[[int], Awaitable[None]]:
    async def attempt(port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(data)
        with contextlib.suppress(ConnectionError):
            await reader.read()
        writer.close()

    return attempt


@pytest.mark.parametrize("version", [TLS_1_2, TLS_1_3])
@pytest.mark.parametrize(
    ("known", "ca", "shows", "reason"),
    [
        (False, True, None, "no client certificate"),
        (True, False, None, "no client certificate"),
        (False, True, "listed", "the client certificate is not admitted"),
        (True, False, "unlisted", "the client certificate is not admitted"),
        (False, True, "issued_but_expired", "the client certificate is not admitted: certificate has expired"),
    ],
)
def test_who_is_refused_by_the_handshake_is_told_with_address_and_reason(run, party, version, known, ca, shows, reason):
    client = client_context(party.server, shows=shows and getattr(party, shows), version=version)
    [(address, told)] = run(refused_reasons(party.settings(known=known, ca=ca), shaking_hands(client)))
    assert address == "127.0.0.1"
    assert told.startswith(reason)


@pytest.mark.parametrize("known", [False, True])
@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"GET /upcheck HTTP/1.1\r\nHost: localhost\r\n\r\n", "plain HTTP on the TLS port"),
        (b"\x00" * 64, "not TLS"),
    ],
)
def test_what_is_no_tls_is_told_as_what_it_is(run, party, known, data, reason):
    [(address, told)] = run(refused_reasons(party.settings(known=known), saying(data)))
    assert (address, told) == ("127.0.0.1", reason)


@pytest.mark.parametrize("known", [False, True])
def test_too_old_a_version_is_told(run, party, known):
    client = client_context(party.server, shows=party.listed, version=TLS_1_2)
    [(_, told)] = run(refused_reasons(party.settings(known=known, minimum="1.3"), shaking_hands(client)))
    assert told == "too old a TLS version"


def test_a_client_that_does_not_trust_the_server_is_told_of(run, party):
    def shake_hands(port: int) -> None:  # blocking: asyncio's client goes without its alert
        with socket.create_connection(("127.0.0.1", port)) as plain, pytest.raises(ssl.SSLCertVerificationError):
            ssl.create_default_context().wrap_socket(plain, server_hostname="localhost")

    async def attempt(port: int) -> None:
        await asyncio.to_thread(shake_hands, port)

    [(_, told)] = run(refused_reasons(party.settings(), attempt))
    assert told.startswith("the client gave up: ")


def test_a_probe_of_the_port_is_nobody_who_was_refused(run, party):
    async def probe(port: int) -> None:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.close()
        await writer.wait_closed()

    async def attempts() -> list[tuple[str, str]]:
        world = World()
        refused = world.seen(ConnectionRefused)
        async with listening(world, tls=HotContext.load(party.settings())) as listener:
            await probe(listener.port)
            async with listener.client(client_context(party.server)) as client:
                assert (await client.ask("GET", "/upcheck")).status == 200
        return refused

    assert run(attempts()) == []
