"""The files of TLS: PEM, PKCS#12, passwords, known-clients lists, and what is said about bad ones."""

import asyncio
import os
from pathlib import Path

import pytest
from certificate_twins import Made, client_context, make
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat, pkcs12
from http_twins import World, listening

from signer.api.known_clients import load_known_clients
from signer.api.tls import HotContext
from signer.auth.credentials import PeerCertificate
from signer.config.server import TlsSettings
from signer.errors import ConfigError

FINGERPRINT = "AA:" * 31 + "AA"


@pytest.fixture
def server(tmp_path) -> Made:
    return make(tmp_path, "localhost")


def serves(settings: TlsSettings, server: Made) -> bool:
    async def main() -> int:
        async with (
            listening(World(), tls=HotContext.load(settings)) as listener,
            listener.client(client_context(server)) as raw,
        ):
            return (await raw.ask("GET", "/upcheck")).status

    return asyncio.run(main()) == 200


def password_file(directory: Path, text: str = "open sesame\nsecond line\n") -> Path:
    file = directory / "password.txt"
    file.write_text(text)
    return file


def pkcs12_file(directory: Path, server: Made, *, password: bytes | None = b"open sesame") -> Path:
    file = directory / "server.p12"
    encryption = BestAvailableEncryption(password) if password else None
    if encryption is None:
        from cryptography.hazmat.primitives.serialization import NoEncryption

        encryption = NoEncryption()
    file.write_bytes(pkcs12.serialize_key_and_certificates(b"x", server.key, server.certificate, None, encryption))
    return file


def test_a_pkcs12_file_is_opened_with_the_first_line_of_its_password_file(tmp_path, server):
    settings = TlsSettings(
        pkcs12_file=pkcs12_file(tmp_path, server), password_file=password_file(tmp_path), allow_any_client=True
    )
    assert serves(settings, server)


def test_an_encrypted_pem_key_is_opened(tmp_path, server):
    file = tmp_path / "encrypted.key"
    encryption = BestAvailableEncryption(b"open sesame")
    file.write_bytes(server.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption))
    settings = TlsSettings(
        certificate_file=server.certificate_file,
        key_file=file,
        password_file=password_file(tmp_path),
        allow_any_client=True,
    )
    assert serves(settings, server)


def test_a_chain_is_sent_whole(tmp_path):
    root = make(tmp_path, "root", authority=True)
    middle = make(tmp_path, "middle", issuer=root, authority=True)
    leaf = make(tmp_path, "localhost", issuer=middle)
    leaf.certificate_file.write_bytes(leaf.certificate_file.read_bytes() + middle.certificate_file.read_bytes())
    known = tmp_path / "known.txt"
    client = make(tmp_path, "client")
    known.write_text(f"client {client.fingerprint}\n")
    for known_clients_file in (None, known):
        settings = TlsSettings(
            certificate_file=leaf.certificate_file, key_file=leaf.key_file, known_clients_file=known_clients_file
        )

        async def main(settings=settings) -> int:
            async with (
                listening(World(), tls=HotContext.load(settings)) as listener,
                listener.client(client_context(root, shows=client)) as raw,
            ):
                return (await raw.ask("GET", "/upcheck")).status

        assert asyncio.run(main()) == 200


def test_no_private_key_is_left_in_a_file_or_an_open_descriptor(tmp_path, server):
    before = set(os.listdir("/proc/self/fd"))
    files = set(tmp_path.iterdir())
    HotContext.load(
        TlsSettings(certificate_file=server.certificate_file, key_file=server.key_file, allow_any_client=True)
    )
    assert set(os.listdir("/proc/self/fd")) == before
    assert set(tmp_path.iterdir()) == files


def bad_settings(directory: Path, server: Made) -> dict[str, tuple[TlsSettings, str]]:
    other = make(directory, "other")
    text = directory / "text.pem"
    text.write_text("no certificate")
    empty = directory / "empty.txt"
    empty.write_text("")
    keyless = directory / "keyless.p12"
    keyless.write_bytes(
        pkcs12.serialize_key_and_certificates(
            b"x", None, None, [server.certificate], BestAvailableEncryption(b"open sesame")
        )
    )
    right = password_file(directory)
    wrong = directory / "wrong.txt"
    wrong.write_text("guess")
    sealed = pkcs12_file(directory, server)
    pair = {"certificate_file": server.certificate_file, "key_file": server.key_file}
    return {
        "the key of another certificate": (TlsSettings(**pair | {"key_file": other.key_file}), "server.tls"),
        "text for a certificate": (TlsSettings(**pair | {"certificate_file": text}), "server.tls.certificate_file"),
        "text for a key": (TlsSettings(**pair | {"key_file": text}), "server.tls.key_file"),
        "a password for an open key": (TlsSettings(**pair, password_file=right), "server.tls.key_file"),
        "a missing file": (TlsSettings(**pair | {"key_file": directory / "gone"}), "server.tls.key_file"),
        "no certificate at all": (TlsSettings(), "server.tls.certificate_file"),
        "a wrong password": (TlsSettings(pkcs12_file=sealed, password_file=wrong), "server.tls.password_file"),
        "an empty password": (TlsSettings(pkcs12_file=sealed, password_file=empty), "server.tls.password_file"),
        "no password": (TlsSettings(pkcs12_file=sealed), "server.tls.password_file"),
        "no key in the file": (TlsSettings(pkcs12_file=keyless, password_file=right), "server.tls.pkcs12_file"),
        "text for authorities": (TlsSettings(**pair, client_ca_file=text), "server.tls.client_ca_file"),
        "text for known clients": (TlsSettings(**pair, known_clients_file=text), "server.tls.known_clients_file"),
    }


@pytest.mark.parametrize(
    "case",
    [
        "the key of another certificate",
        "text for a certificate",
        "text for a key",
        "a password for an open key",
        "a missing file",
        "no certificate at all",
        "a wrong password",
        "an empty password",
        "no password",
        "no key in the file",
        "text for authorities",
        "text for known clients",
    ],
)
def test_a_bad_file_is_an_error_that_names_the_setting_and_a_remedy(tmp_path, server, case):
    settings, key = bad_settings(tmp_path, server)[case]
    with pytest.raises(ConfigError) as caught:
        HotContext.load(settings)
    assert caught.value.key == key
    assert caught.value.remedy
    assert "open sesame" not in str(caught.value.evidence)
    assert "guess" not in str(caught.value.evidence)


@pytest.mark.parametrize("known", [False, True])
def test_a_key_that_openssl_finds_too_weak_is_an_error_with_a_remedy(tmp_path, known):
    weak = make(tmp_path, "localhost", key=rsa.generate_private_key(public_exponent=65537, key_size=1024))
    (tmp_path / "known.txt").write_text(f"client {FINGERPRINT}\n")
    settings = TlsSettings(
        certificate_file=weak.certificate_file,
        key_file=weak.key_file,
        known_clients_file=tmp_path / "known.txt" if known else None,
        allow_any_client=not known,
    )
    with pytest.raises(ConfigError) as caught:
        HotContext.load(settings)
    assert "2048" in caught.value.remedy


def test_a_reload_that_fails_leaves_what_served(tmp_path, server):
    settings = TlsSettings(certificate_file=server.certificate_file, key_file=server.key_file, allow_any_client=True)

    async def main() -> None:
        context = HotContext.load(settings)
        good = server.certificate_file.read_bytes()
        server.certificate_file.write_bytes(b"half a certif")
        with pytest.raises(ConfigError):
            context.reload()
        server.certificate_file.write_bytes(good)
        async with listening(World(), tls=context) as listener, listener.client(client_context(server)) as raw:
            assert (await raw.ask("GET", "/upcheck")).status == 200

    asyncio.run(main())


@pytest.mark.parametrize(
    ("line", "entry"),
    [
        (f"client {FINGERPRINT}", ("client", "aa" * 32)),
        (f"  client\t{FINGERPRINT.lower()}  ", ("client", "aa" * 32)),
        (f"client {'Ab' * 32}", ("client", "ab" * 32)),
        (f"two words {FINGERPRINT} # comment", ("two words", "aa" * 32)),
        (f"café {FINGERPRINT}", ("café", "aa" * 32)),
    ],
)
def test_a_line_of_the_known_clients_file_is_a_name_and_a_fingerprint(tmp_path, line, entry):
    file = tmp_path / "known.txt"
    file.write_text(f"# comment\n\n{line}\r\n")
    assert load_known_clients(file) == {PeerCertificate(entry[0], bytes.fromhex(entry[1]))}


@pytest.mark.parametrize(
    "line", ["client", FINGERPRINT, f"client {FINGERPRINT}:AA", f"client {FINGERPRINT[:-3]}", f"client{FINGERPRINT}"]
)
def test_a_line_that_is_neither_is_an_error_with_its_number(tmp_path, line):
    file = tmp_path / "known.txt"
    file.write_text(f"# comment\n{line}\n")
    with pytest.raises(ConfigError) as caught:
        load_known_clients(file)
    assert caught.value.where == f"{file}:2"


def test_a_known_clients_file_that_is_no_text_is_an_error(tmp_path):
    file = tmp_path / "known.txt"
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError):
        load_known_clients(file)
