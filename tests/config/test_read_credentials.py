"""Principals of the configuration become what authentication compares."""

import asyncio
import base64
import hashlib
from pathlib import Path
from typing import get_args

import pytest

from signer.auth.approvers import Approver
from signer.auth.authenticate import Authenticator
from signer.auth.credentials import BasicCredential, PeerCertificate, SaltedSha256, hash_password
from signer.auth.principal import ANONYMOUS, Action
from signer.config.access import ClientCertificateSettings, PrincipalSettings, SecuritySettings
from signer.config.credentials import approvers_of, find_anonymous, principal_of, read_credentials, without_files
from signer.config.load import load_config
from signer.config.setting import members
from signer.errors import AuthenticationError, ConfigError
from signer.policy.verdict import Group
from signer.units import PublicKey

TOKEN, PASSWORD, FINGERPRINT = "a-token-of-some-length", "a-password-of-some-length", b"\x07" * 32


def entropy(count: int) -> bytes:
    return b"\x05" * count


def basic(name: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()


def test_each_proof_of_a_principal_lets_it_in(tmp_path: Path) -> None:
    (tmp_path / "token").write_text(TOKEN + "\nsecond line\n")
    (tmp_path / "password").write_text(PASSWORD + "\r\n")
    security = SecuritySettings(
        require_authentication=True,
        principals=(
            PrincipalSettings(name="file", token_file=tmp_path / "token", password_file=tmp_path / "password"),
            PrincipalSettings(
                name="hash",
                token_sha256=hashlib.sha256(b"other-token").digest(),
                password_hash=hash_password("other", salt=b"\x01" * 16),
            ),
            PrincipalSettings(name="tls", certificate=ClientCertificateSettings(sha256=FINGERPRINT)),
        ),
    )
    authenticator = Authenticator(read_credentials(security, entropy=entropy), anonymous=find_anonymous(security))
    steps = [
        (f"Bearer {TOKEN}", None, "file"),
        (basic("file", PASSWORD), None, "file"),
        ("Bearer other-token", None, "hash"),
        (basic("hash", "other"), None, "hash"),
        (None, PeerCertificate("x", FINGERPRINT), "tls"),
        ("Bearer wrong", None, None),
        (basic("file", "other"), None, None),
        (None, PeerCertificate("x", b"\x08" * 32), None),
        (None, None, None),
    ]

    async def enter(header: str | None, peer: PeerCertificate | None) -> str | None:
        try:
            return (await authenticator.authenticate(header, peer)).name
        except AuthenticationError:
            return None

    async def run() -> list[str | None]:
        return [await enter(header, peer) for header, peer, _ in steps]

    assert asyncio.run(run()) == [name for _, _, name in steps]


def test_a_principal_is_granted_what_its_entry_says_and_little_by_default() -> None:
    plain = principal_of(PrincipalSettings(name="vc"))
    assert plain.actions == {Action.KEYS_LIST, Action.SIGN_DUTY}
    assert (plain.keys, plain.duties, plain.groups) == (None, None, frozenset())
    key = PublicKey(b"\x01" * 48)
    entry = PrincipalSettings(
        name="vc", groups=("g",), actions=(Action.AUDIT_READ,), keys=(key,), duties=("ATTESTATION",)
    )
    bound = principal_of(entry)
    assert (bound.actions, bound.keys, bound.duties) == ({Action.AUDIT_READ}, {key}, {"ATTESTATION"})
    assert bound.groups == {"g"}


def test_nobody_is_anonymous_where_authentication_is_required() -> None:
    assert find_anonymous(SecuritySettings()) is ANONYMOUS
    assert find_anonymous(SecuritySettings(require_authentication=True)) is None


def test_a_secret_file_that_cannot_be_read_or_is_empty_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("\nsecret on the second line\n")
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    for name in ("gone", "empty", "binary"):
        entry = PrincipalSettings(name="a", token_file=tmp_path / name)
        with pytest.raises(ConfigError) as raised:
            read_credentials(SecuritySettings(principals=(entry,)), entropy=entropy)
        assert raised.value.key == "security.principals[0].token_file"
        assert "secret on" not in str(raised.value.evidence)


def test_one_secret_for_two_principals_is_refused_and_never_shown(tmp_path: Path) -> None:
    for name in ("one", "same"):
        (tmp_path / name).write_text(TOKEN + ("\n" if name == "one" else "\r\nmore\n"))
    (tmp_path / "other").write_text(PASSWORD)
    one, same, other = (tmp_path / name for name in ("one", "same", "other"))
    digest, hashed = hashlib.sha256(TOKEN.encode()).digest(), hash_password(PASSWORD, salt=b"\x01" * 16)
    by_name, by_both = (
        ClientCertificateSettings(common_name="vc"),
        ClientCertificateSettings(common_name="vc", sha256=FINGERPRINT),
    )
    steps = [
        ({"token_file": one}, {"token_file": same}, "token"),
        ({"token_file": one}, {"token_sha256": digest}, "token"),
        ({"token_sha256": digest}, {"token_sha256": digest}, "token"),
        ({"password_file": one}, {"password_file": same}, "password"),
        ({"password_hash": hashed}, {"password_hash": hashed}, "password_hash"),
        ({"certificate": by_name}, {"certificate": by_name}, "certificate"),
        ({"certificate": by_name}, {"certificate": by_both}, "certificate"),
        ({"certificate": by_both}, {"certificate": by_name}, "certificate"),
        ({"approval_key": b"\x01" * 32}, {"approval_key": b"\x01" * 32}, "approval_key"),
        ({"approval_key": b"\x01" * 32}, {"approval_key": b"\x02" * 32}, None),
        ({"token_file": one}, {"token_file": other}, None),
        ({"token_file": one}, {"password_file": same}, None),
        ({"certificate": by_both}, {"certificate": ClientCertificateSettings(common_name="lh")}, None),
    ]
    for first, second, kind in steps:
        security = SecuritySettings(
            principals=(PrincipalSettings(name="alice", **first), PrincipalSettings(name="bob", **second))
        )
        for read in (read_credentials, without_files):
            if kind is None:
                read(security, entropy=entropy)
                continue
            with pytest.raises(ConfigError, match=f"alice and bob have the same {kind}:") as raised:
                read(security, entropy=entropy)
            assert TOKEN not in repr(raised.value.evidence) + raised.value.sentence


def test_approvers_are_members_of_groups_who_may_vote() -> None:
    entries = (
        PrincipalSettings(name="ann", groups=("owners",), actions=(Action.APPROVALS_VOTE,), approval_key=b"\x01" * 32),
        PrincipalSettings(name="bob", groups=("owners",)),
        PrincipalSettings(name="cid", actions=(Action.APPROVALS_VOTE,)),
    )
    approvers = approvers_of(SecuritySettings(principals=entries))
    assert approvers.members == {"ann": {"owners"}}
    assert approvers.find("ann") == Approver("ann", frozenset({"owners"}), b"\x01" * 32)
    assert approvers.find("bob") is None


def test_a_principal_may_have_one_secret_as_token_and_as_password(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(TOKEN)
    entry = PrincipalSettings(name="a", token_file=tmp_path / "secret", password_file=tmp_path / "secret")
    assert len(read_credentials(SecuritySettings(principals=(entry,)), entropy=entropy)) == 2


def test_a_configuration_with_one_token_for_two_is_not_loaded(tmp_path: Path) -> None:
    (tmp_path / "token").write_text(TOKEN)
    (tmp_path / "c.yaml").write_text(
        "security: {principals: [{name: alice, token_file: token}, {name: bob, token_file: token}]}"
    )
    with pytest.raises(ConfigError, match="alice and bob"):
        load_config(tmp_path / "c.yaml", environ={}, flags={})


def test_a_password_of_a_file_is_compared_at_once_and_no_slow_hash_is_made(tmp_path: Path) -> None:
    (tmp_path / "password").write_text(PASSWORD + "\n")
    security = SecuritySettings(principals=(PrincipalSettings(name="file", password_file=tmp_path / "password"),))
    for seen in (security, without_files(security, entropy=entropy)):
        (credential,) = read_credentials(seen, entropy=entropy)
        assert isinstance(credential, BasicCredential)
        assert isinstance(credential.password, SaltedSha256)
        assert credential.password.salt == entropy(16)
        assert credential.password.matches(PASSWORD.encode())
        assert not credential.password.matches(b"another")


def test_a_principals_groups_are_spelled_as_verdicts_name_groups() -> None:
    (groups,) = (each.setting for each in members(PrincipalSettings) if each.name == "groups")
    (named,) = get_args(Group)[1:]
    assert named.pattern == f"^{groups.pattern}\\Z"
