"""Who is let in, by which credential, and at what price."""

import asyncio
import base64
import threading

import pytest

from signer.auth.authenticate import Authenticator
from signer.auth.credentials import (
    BasicCredential,
    BearerCredential,
    CertificateCredential,
    PeerCertificate,
    SaltedSha256,
    ScryptHash,
    hash_password,
    parse_password_hash,
    parse_token_digest,
    token_digest_text,
)
from signer.auth.principal import ANONYMOUS, Principal
from signer.errors import AuthenticationError, ConfigError

ALICE, BOB, CAROL = Principal("alice"), Principal("bob"), Principal("carol")
TOKEN = "hf_0123456789abcdef0123456789abcdef"
FINGERPRINT = bytes(range(32))


class CountedHash(SaltedSha256):
    """A hash that counts how often it was computed."""

    computed = 0

    def matches(self, password: bytes) -> bool:
        CountedHash.computed += 1
        return super().matches(password)


def counted(password: bytes) -> CountedHash:
    import hashlib

    CountedHash.computed = 0
    return CountedHash(b"salt", hashlib.sha256(b"salt" + password).digest())


def basic(name: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()


def authenticator(*, anonymous: Principal | None = None) -> Authenticator:
    return Authenticator(
        [
            BearerCredential(ALICE, parse_token_digest(token_digest_text(TOKEN), where="test", key="token")),
            BasicCredential(BOB, "bob", counted(b"correct:horse")),
            CertificateCredential(CAROL, "carol", FINGERPRINT),
        ],
        anonymous=anonymous,
    )


@pytest.mark.parametrize(
    ("header", "peer", "expected"),
    [
        (f"Bearer {TOKEN}", None, ALICE),
        (f"bearer {TOKEN}", None, ALICE),
        (basic("bob", "correct:horse"), None, BOB),
        (None, PeerCertificate("carol", FINGERPRINT), CAROL),
        (f"Bearer {TOKEN}", PeerCertificate("carol", FINGERPRINT), ALICE),
        ("Bearer wrong", None, None),
        ("Bearer ", None, None),
        (TOKEN, None, None),
        (basic("bob", "wrong"), None, None),
        (basic("nobody", "correct:horse"), None, None),
        (basic("alice", TOKEN), None, None),
        ("Basic !!!", None, None),
        ("Basic " + base64.b64encode(b"no colon").decode(), None, None),
        ("Basic " + base64.b64encode(b"\xff\xfe:x").decode(), None, None),
        ("Digest username=bob", None, None),
        ("", None, None),
        ("Bearer \udcff", None, None),
        (None, None, None),
        (None, PeerCertificate("carol", bytes(32)), None),
        (None, PeerCertificate("mallory", FINGERPRINT), None),
        ("Bearer wrong", PeerCertificate("carol", FINGERPRINT), None),
    ],
)
async def test_only_a_right_credential_names_a_principal(header, peer, expected):
    gate = authenticator()
    for _ in range(2):  # the second time from memory
        if expected is None:
            with pytest.raises(AuthenticationError):
                await gate.authenticate(header, peer)
        else:
            assert await gate.authenticate(header, peer) is expected


async def test_a_password_is_hashed_once_however_often_it_is_sent():
    gate = authenticator()
    for _ in range(50):
        await gate.authenticate(basic("bob", "correct:horse"), None)
    assert CountedHash.computed == 1


async def test_a_burst_of_first_requests_costs_one_hash():
    gate = authenticator()
    await asyncio.gather(*(gate.authenticate(basic("bob", "correct:horse"), None) for _ in range(200)))
    assert CountedHash.computed == 1


async def test_a_wrong_password_is_hashed_once_however_often_it_is_sent():
    gate = authenticator()
    outcomes = await asyncio.gather(
        *(gate.authenticate(basic("bob", "old"), None) for _ in range(200)), return_exceptions=True
    )
    assert {type(outcome) for outcome in outcomes} == {AuthenticationError}
    assert CountedHash.computed == 1


async def test_an_unknown_name_costs_a_hash_too():
    gate = authenticator()
    with pytest.raises(AuthenticationError):
        await gate.authenticate(basic("nobody", "x"), None)
    assert CountedHash.computed == 1


async def test_the_memory_of_refusals_is_bounded_and_a_right_password_survives_its_clearing():
    gate = authenticator()
    for number in range(4200):
        with pytest.raises(AuthenticationError):
            await gate.authenticate(f"Bearer {number}", None)
    assert len(gate._refused) <= 4096
    assert await gate.authenticate(f"Bearer {TOKEN}", None) is ALICE


async def test_where_none_is_needed_a_caller_without_credentials_is_anonymous():
    assert await authenticator(anonymous=ANONYMOUS).authenticate(None, None) is ANONYMOUS


async def test_a_wrong_credential_is_an_error_even_where_none_is_needed():
    with pytest.raises(AuthenticationError):
        await authenticator(anonymous=ANONYMOUS).authenticate("Bearer wrong", None)


async def test_where_no_passwords_are_configured_a_header_for_a_proxy_is_ignored():
    gate = Authenticator([], anonymous=ANONYMOUS)
    assert await gate.authenticate(basic("proxy", "secret"), None) is ANONYMOUS


async def test_a_certificate_credential_without_name_and_fingerprint_matches_nobody():
    gate = Authenticator([CertificateCredential(CAROL)], anonymous=None)
    with pytest.raises(AuthenticationError):
        await gate.authenticate(None, PeerCertificate("", bytes(32)))


async def test_a_scrypt_password_of_the_configuration_lets_its_owner_in():
    text = hash_password("påssword", salt=b"s" * 16)
    gate = Authenticator(
        [BasicCredential(BOB, "bob", parse_password_hash(text, where="test", key="password"))], anonymous=None
    )
    assert await gate.authenticate(basic("bob", "påssword"), None) is BOB
    with pytest.raises(AuthenticationError):
        await gate.authenticate(basic("bob", "password"), None)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hunter2",
        "sha256$zz",
        "sha256$00$00",
        "sha256$$" + "00" * 32,
        "md5$00$00",
        "scrypt$32768$8$1$00$0011",
        "scrypt$3$8$1$00$" + "00" * 32,
        "scrypt$0$8$1$00$" + "00" * 32,
        "scrypt$x$8$1$00$" + "00" * 32,
        "scrypt$1073741824$8$1$00$" + "00" * 32,
    ],
)
def test_a_password_hash_in_no_known_form_is_a_configuration_error_that_does_not_repeat_it(text):
    with pytest.raises(ConfigError) as caught:
        parse_password_hash(text, where="holdfast.yaml:7", key="security.principals")
    assert caught.value.where == "holdfast.yaml:7"
    assert not text or text not in f"{caught.value} {caught.value.evidence}"


@pytest.mark.parametrize("text", ["", TOKEN, "sha256$00", "sha1$" + "00" * 32, "sha256$" + "zz" * 32])
def test_a_token_digest_in_no_known_form_is_a_configuration_error(text):
    with pytest.raises(ConfigError):
        parse_token_digest(text, where="holdfast.yaml:9", key="security.principals")


def test_no_digest_shows_in_a_repr():
    credentials = [
        BearerCredential(ALICE, b"\xabdigest-of-token"),
        BasicCredential(BOB, "bob", SaltedSha256(b"\xabsalt", b"\xabdigest")),
        BasicCredential(
            BOB, "bob", parse_password_hash(hash_password("x", salt=b"\xab" * 16), where="test", key="password")
        ),
    ]
    for credential in credentials:
        assert "digest" not in repr(credential).replace("sha256", "")
        assert "xab" not in repr(credential)


class SlowHash(ScryptHash):
    """A slow hash that counts how often it was computed, and is computed when it may be."""

    computed = 0
    may_go_on = threading.Event()

    def matches(self, password: bytes) -> bool:
        SlowHash.computed += 1
        assert SlowHash.may_go_on.wait(10)
        return password == b"right"


def slow_gate() -> Authenticator:
    SlowHash.computed = 0
    SlowHash.may_go_on.clear()
    slow = BasicCredential(BOB, "bob", SlowHash(2, 1, 1, b"salt", b"digest"))
    quick = BasicCredential(ALICE, "alice", counted(b"quick"))
    return Authenticator([slow, quick], anonymous=None)


async def started(*headers: str, gate: Authenticator, connected=lambda: True) -> list[asyncio.Task]:
    tasks = [asyncio.create_task(gate.authenticate(header, None, connected)) for header in headers]
    for _ in range(3):
        await asyncio.sleep(0)
    return tasks


async def outcomes(tasks: list[asyncio.Task]) -> list[object]:
    return [getattr(one, "sentence", one) for one in await asyncio.gather(*tasks, return_exceptions=True)]


async def test_a_flood_of_wrong_passwords_keeps_nobody_waiting_whose_password_is_in_a_file():
    gate = slow_gate()
    flood = await started(*(basic("bob", str(n)) for n in range(300)), gate=gate)
    assert await gate.authenticate(basic("alice", "quick"), None) is ALICE
    SlowHash.may_go_on.set()
    await outcomes(flood)


async def test_a_flood_of_wrong_passwords_is_refused_beyond_a_short_queue_and_not_remembered_as_wrong():
    gate = slow_gate()
    flood = await started(*(basic("bob", str(n)) for n in range(300)), basic("bob", "right"), gate=gate)
    assert sum(task.done() for task in flood) == 301 - 16
    SlowHash.may_go_on.set()
    told = await outcomes(flood)
    assert SlowHash.computed == 16
    assert told[-1] == "too many passwords are being verified; ask again in a moment"
    assert await gate.authenticate(basic("bob", "right"), None) is BOB


async def test_many_requests_with_one_slow_password_wait_together_and_cost_one_hash():
    gate = slow_gate()
    burst = await started(*[basic("bob", "right")] * 200, gate=gate)
    SlowHash.may_go_on.set()
    assert await outcomes(burst) == [BOB] * 200
    assert SlowHash.computed == 1


async def test_nothing_is_hashed_for_a_connection_that_has_gone():
    gate = slow_gate()
    first = await started(basic("bob", "first"), gate=gate)
    gone = await started(*(basic("bob", f"gone {n}") for n in range(10)), gate=gate, connected=lambda: False)
    SlowHash.may_go_on.set()
    await outcomes(first + gone)
    assert SlowHash.computed == 1
    assert not gate._verifying


async def test_an_invented_name_takes_no_place_in_the_queue_of_slow_passwords():
    gate = slow_gate()
    for number in range(40):
        with pytest.raises(AuthenticationError, match="not known"):
            await gate.authenticate(basic(f"nobody {number}", "x"), None)
    assert (SlowHash.computed, CountedHash.computed) == (0, 40)


async def test_the_memory_of_right_credentials_is_bounded_too():
    gate = authenticator()
    for number in range(4200):
        assert await gate.authenticate(f"Bearer {' ' * number}{TOKEN}", None) is ALICE
    assert len(gate._known) <= 4096
