"""The shared database over TLS: libpq's parameters in `journal.url` mean what they mean to psql."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
from journal.record import vote
from journal.shared_record import open_shared
from postgres_server import PostgresServer, started_server

from signer.cli.certificates import client_identity, create_authority, pem_certificate, pem_key, server_identity
from signer.errors import StartupError

HBA = "hostssl certified all 127.0.0.1/32 cert\nhostssl all all 127.0.0.1/32 trust\nlocal all all trust\n"
"""Nobody gets in without TLS; to the database `certified` only who has a certificate of the user's name."""


@dataclass(frozen=True)
class Encrypted:
    """A server that speaks TLS alone, and the directory with the certificates."""

    server: PostgresServer
    files: Path

    def url(self, database: str, parameters: str, *, host: str = "127.0.0.1") -> str:
        return f"postgresql://postgres@{host}:{self.server.port}/{database}?{parameters}"


@pytest.fixture(scope="module")
def encrypted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Encrypted]:
    files = tmp_path_factory.mktemp("certificates")
    now = datetime.now(UTC)
    authority, stranger = create_authority(now=now, days=2), create_authority(now=now, days=2)
    identity = server_identity(authority, hosts=["127.0.0.1"], now=now, days=2)
    client = client_identity(authority, name="postgres", now=now, days=2)
    written = {
        "ca.pem": pem_certificate(authority.certificate),
        "stranger.pem": pem_certificate(stranger.certificate),
        "client.pem": pem_certificate(client.certificate),
        "client.key": pem_key(client.key),
    }
    for name, content in written.items():
        (files / name).write_bytes(content)
        (files / name).chmod(0o600)
    server = started_server()
    try:
        server.make_database("certified")
        server.make_database("plain")
        for name, content in (
            ("server.crt", pem_certificate(identity.certificate)),
            ("server.key", pem_key(identity.key)),
            ("root.crt", written["ca.pem"]),
        ):
            file = server.data / name
            file.write_bytes(content)
            file.chmod(0o600)
            server.own(file)
        server.configure(ssl="on", ssl_cert_file="server.crt", ssl_key_file="server.key", ssl_ca_file="root.crt")
        server.stop()
        (server.data / "pg_hba.conf").write_text(HBA)
        server.start()
        yield Encrypted(server, files)
    finally:
        server.remove()


async def test_a_server_is_believed_by_its_certificate_and_its_name(encrypted: Encrypted, tmp_path: Path) -> None:
    url = encrypted.url("plain", f"sslmode=verify-full&sslrootcert={encrypted.files}/ca.pem")
    record = open_shared(url, tmp_path)
    assert (await record.writer.commit(vote(1, 2))).repeat is False
    with record.view.reading() as moment:
        assert list(moment.rows("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")) == [(True,)]
    record.close()


@pytest.mark.parametrize(
    ("parameters", "host", "told"),
    [
        ("sslmode=verify-full&sslrootcert={files}/stranger.pem", "127.0.0.1", "certificate verify failed"),
        ("sslmode=verify-ca&sslrootcert={files}/stranger.pem", "127.0.0.1", "certificate verify failed"),
        ("sslmode=verify-full&sslrootcert={files}/ca.pem", "localhost", "certificate verify failed"),
        ("sslmode=verify-full&sslrootcert={files}/missing.pem", "127.0.0.1", "does not answer"),
        ("sslmode=disable", "127.0.0.1", "no encryption"),
    ],
)
def test_another_authority_another_name_and_no_tls_are_refused(
    encrypted: Encrypted, tmp_path: Path, parameters: str, host: str, told: str
) -> None:
    url = encrypted.url("plain", parameters.format(files=encrypted.files), host=host)
    with pytest.raises(StartupError, match=told) as caught:
        open_shared(url, tmp_path)
    assert caught.value.remedy


async def test_a_signer_proves_itself_by_a_certificate(encrypted: Encrypted, tmp_path: Path) -> None:
    checked = f"sslmode=verify-full&sslrootcert={encrypted.files}/ca.pem"
    with pytest.raises(StartupError, match="certificate"):
        open_shared(encrypted.url("certified", checked), tmp_path)
    proof = f"&sslcert={encrypted.files}/client.pem&sslkey={encrypted.files}/client.key"
    record = open_shared(encrypted.url("certified", checked + proof), tmp_path)
    assert (await record.writer.commit(vote(1, 2))).repeat is False
    record.close()
