"""What single clients do besides asking politely: retries, bursts, idle connections, polls, old TLS, lost answers."""

import base64
import datetime
import json
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
from client_manner import Client
from client_network import network_sections
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from lighthouse import LIGHTHOUSE
from lodestar import LODESTAR
from nimbus import NIMBUS, RETRIED_STATUSES, RETRIES
from prysm import PRYSM
from running import RunningSigner, interop_secret, running_signer
from signatures import public_key, signature
from six_clients import CLIENTS
from spec_duties import Duty, duties
from teku import TEKU, tls_1_2_only
from vero import VERO


def duty_of(client: Client, duty_type: str, fork: str) -> Duty:
    return duties(public_key(CLIENTS.index(client)))[duty_type, fork]


def conflicting(client: Client, duty: Duty, port: int) -> bytes:
    """The same vote for another head: slashable once the first is signed."""
    body = client.body(duty)
    body.pop("signingRoot", None)
    body["attestation"] = {**duty.object, "beacon_block_root": "0x" + "66" * 32}
    return client.post(client.path + duty.public_key, json.dumps(body).encode(), port=port)


def test_nimbus_asks_a_refused_vote_three_times_and_is_refused_three_times_alike(signer, connect):
    duty = duty_of(NIMBUS, "ATTESTATION", "FULU")
    connection = connect(signer.port)
    assert connection.ask(NIMBUS.request(duty, signer.port)).status == 200
    answers = [connection.ask(conflicting(NIMBUS, duty, signer.port)) for _ in range(1 + RETRIES)]
    assert [answer.status for answer in answers] == [412] * (1 + RETRIES)
    assert set(RETRIED_STATUSES) >= {answer.status for answer in answers}
    codes = {json.loads(answer.body)["code"] for answer in answers}
    assert len(codes) == 1


@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.name)
def test_an_answer_that_was_lost_is_given_again(client, signer, connect):
    duty = duty_of(client, "ATTESTATION", "FULU")
    first = connect(signer.port)
    first.send(client.request(duty, signer.port))
    first.close()  # the client's time-out: nobody reads the answer
    second = connect(signer.port)
    answer = second.ask(client.request(duty, signer.port))
    assert client.read_signature(answer) == signature(CLIENTS.index(client), duty.signing_root)


@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.name)
def test_a_refusal_never_looks_like_a_signature(client, signer, connect):
    duty = duty_of(client, "ATTESTATION", "FULU")
    connection = connect(signer.port)
    assert connection.ask(client.request(duty, signer.port)).status == 200
    refused = connection.ask(conflicting(client, duty, signer.port))
    assert refused.status == 412
    assert refused.media_type == "application/problem+json"
    assert b'"signature"' not in refused.body
    # The connection lives on: a refusal must not cost the next duty a handshake.
    assert connection.ask(client.request(duty, signer.port)).status == 200


def test_prysm_opens_a_connection_for_each_of_two_hundred_duties_of_a_slot(signer, connect):
    duty = duty_of(PRYSM, "RANDAO_REVEAL", "FULU")
    connections = [connect(signer.port) for _ in range(200)]
    for connection in connections:
        connection.send(PRYSM.request(duty, signer.port))
    expected = signature(CLIENTS.index(PRYSM), duty.signing_root)
    assert {PRYSM.read_signature(connection.read_answer()) for connection in connections} == {expected}


def test_lodestar_upper_case_and_bare_keys_in_the_path_name_the_same_validator(signer, connect):
    duty = duty_of(LODESTAR, "RANDAO_REVEAL", "FULU")
    body = json.dumps(LODESTAR.body(duty)).encode()
    connection = connect(signer.port)
    bare = duty.public_key.removeprefix("0x")
    for identifier in (duty.public_key, bare, bare.upper(), "0x" + bare.upper()):
        assert connection.ask(LODESTAR.post(LODESTAR.path + identifier, body, port=signer.port)).status == 200


def test_lighthouse_with_a_path_prefix_is_told_404_and_not_redirected(signer, connect):
    duty = duty_of(LIGHTHOUSE, "RANDAO_REVEAL", "FULU")
    body = json.dumps(LIGHTHOUSE.body(duty)).encode()
    connection = connect(signer.port)
    answer = connection.ask(LIGHTHOUSE.post("/prefix" + LIGHTHOUSE.path + duty.public_key, body, port=signer.port))
    assert answer.status == 404


def get(path: str, *headers: str) -> bytes:
    return "\r\n".join([f"GET {path} HTTP/1.1", "Host: 127.0.0.1", *headers, "", ""]).encode()


def test_vero_reads_up_from_the_health_check_it_asks_each_second(signer, connect):
    connection = connect(signer.port)
    for _ in range(3):
        answer = connection.ask(get("/healthcheck", "Accept: application/json", "User-Agent: vero/1.3.0"))
        told = json.loads(answer.body)
        assert (answer.status, told["status"], told["outcome"]) == (200, "UP", "UP")
        assert isinstance(told["checks"], list)


@pytest.mark.parametrize(
    ("asker", "headers", "expected"),
    [
        ("Teku, by status alone", (), b"OK"),
        ("Web3Signer's users", ("Accept: text/plain",), b"OK"),
        ("Lodestar and Nimbus", ("Accept: application/json",), b'{"status":"OK"}'),
    ],
)
def test_upcheck_speaks_to_each_asker_in_its_own_way(asker, headers, expected, signer, connect):
    connection = connect(signer.port)
    answer = connection.ask(get("/upcheck", *headers))
    assert answer.status == 200, asker
    assert answer.body.replace(b" ", b"") == expected


def test_nimbus_and_lodestar_find_all_their_keys_in_one_stable_list(signer, connect):
    connection = connect(signer.port)
    lists = [json.loads(connection.ask(get("/api/v1/eth2/publicKeys", "Accept: application/json")).body) for _ in "ab"]
    assert lists[0] == lists[1] == sorted(public_key(number) for number in range(len(CLIENTS)))


def test_a_reload_script_posts_nothing_and_names_no_content_type(signer, connect):
    connection = connect(signer.port)
    answer = connection.ask(b"POST /reload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n")
    assert answer.status in {202, 409}


# --- TLS -------------------------------------------------------------------------------------

USER, PASSWORD = "teku", "correct horse battery staple"


def self_signed(directory: Path) -> tuple[Path, Path]:
    """A certificate for localhost and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    certificate_file, key_file = directory / "server.crt", directory / "server.key"
    certificate_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    key_file.chmod(0o600)
    return certificate_file, key_file


@pytest.fixture(scope="module")
def tls_signer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSigner]:
    """A signer over TLS that wants a name and a password."""
    directory = tmp_path_factory.mktemp("tls")
    certificate_file, key_file = self_signed(directory)
    password_file = directory / "teku.password"
    password_file.write_text(PASSWORD + "\n")
    password_file.chmod(0o600)
    tls = {"certificate_file": str(certificate_file), "key_file": str(key_file), "allow_any_client": True}
    sections = network_sections(directory) | {
        "server": {"tls": tls},
        "security": {
            "require_authentication": True,
            "principals": [{"name": USER, "password_file": str(password_file)}],
        },
    }
    secrets = [interop_secret(number) for number in range(len(CLIENTS))]
    with running_signer(directory, secrets=secrets, sections=sections) as running:
        yield running


def trusting(context: ssl.SSLContext, signer: RunningSigner) -> ssl.SSLContext:
    context.load_verify_locations(signer.directory / "server.crt")
    return context


def with_credentials(client: Client, duty: Duty, port: int) -> bytes:
    credentials = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    return client.request(duty, port).replace(
        b"\r\n\r\n", f"\r\nAuthorization: Basic {credentials}\r\n\r\n".encode(), 1
    )


def test_teku_speaks_tls_1_2_and_sends_its_password_only_when_asked(tls_signer, connect):
    duty = duty_of(TEKU, "ATTESTATION", "FULU")
    connection = connect(tls_signer.port, trusting(tls_1_2_only(), tls_signer))
    assert connection.socket.version() == "TLSv1.2"
    challenge = connection.ask(TEKU.request(duty, tls_signer.port))
    assert challenge.status == 401
    assert "basic" in challenge.headers["www-authenticate"].lower()
    answer = connection.ask(with_credentials(TEKU, duty, tls_signer.port))
    assert TEKU.read_signature(answer) == signature(CLIENTS.index(TEKU), duty.signing_root)


@pytest.mark.parametrize("client", [LIGHTHOUSE, PRYSM, NIMBUS, VERO], ids=lambda client: client.name)
def test_credentials_of_the_url_are_taken_unasked_over_the_newest_tls(client, tls_signer, connect):
    duty = duty_of(client, "ATTESTATION", "FULU")
    connection = connect(tls_signer.port, trusting(ssl.create_default_context(), tls_signer))
    assert connection.socket.version() == "TLSv1.3"
    answer = connection.ask(with_credentials(client, duty, tls_signer.port))
    assert client.read_signature(answer) == signature(CLIENTS.index(client), duty.signing_root)


def test_go_offers_http_2_by_alpn_and_is_answered_with_http_1_1(tls_signer, connect):
    context = trusting(ssl.create_default_context(), tls_signer)
    context.set_alpn_protocols(["h2", "http/1.1"])
    duty = duty_of(PRYSM, "RANDAO_REVEAL", "FULU")
    connection = connect(tls_signer.port, context)
    assert connection.socket.selected_alpn_protocol() in {None, "http/1.1"}
    assert connection.ask(with_credentials(PRYSM, duty, tls_signer.port)).status == 200


def test_lodestar_which_has_no_credentials_is_told_so_and_gets_nothing(tls_signer, connect):
    duty = duty_of(LODESTAR, "RANDAO_REVEAL", "FULU")
    connection = connect(tls_signer.port, trusting(ssl.create_default_context(), tls_signer))
    answer = connection.ask(LODESTAR.request(duty, tls_signer.port))
    assert answer.status == 401
    assert not answer.body.startswith(b"0x")
