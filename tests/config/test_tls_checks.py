"""The TLS files are read as the listener reads them, and their dates are looked at."""

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from signer.cli.certificates import create_authority, pem_certificate, pem_key, server_identity
from signer.config.load import load_config
from signer.config.production import find_warnings
from signer.config.sections import Config
from signer.config.tls_checks import find_tls_faults, find_tls_warnings

NOW = datetime(2026, 5, 1, tzinfo=UTC)


@pytest.fixture
def config(tmp_path: Path) -> Config:
    authority = create_authority(now=NOW, days=400)
    server = server_identity(authority, hosts=["localhost"], now=NOW, days=100)
    for name, content in (
        ("s.pem", pem_certificate(server.certificate)), ("s.key", pem_key(server.key)),
        ("ca.pem", pem_certificate(authority.certificate)), ("ca.key", pem_key(authority.key)),
    ):  # fmt: skip
        (tmp_path / name).write_bytes(content)
        (tmp_path / name).chmod(0o600)
    (tmp_path / "c.yaml").write_text(
        "server: {tls: {certificate_file: s.pem, key_file: s.key, client_ca_file: ca.pem}}"
    )
    return load_config(tmp_path / "c.yaml", environ={}, flags={})


def test_files_that_belong_together_are_no_fault(config: Config) -> None:
    assert find_tls_faults(config) == ()
    assert find_tls_warnings(config, now=NOW) == ()


@pytest.mark.parametrize(
    ("spoilt", "by", "key", "words"),
    [
        ("s.key", "ca.key", "server.tls", "is not that of the first certificate"),
        ("s.key", "s.pem", "server.tls.key_file", "no private key"),
        ("s.pem", "s.key", "server.tls.certificate_file", "no certificates"),
        ("ca.pem", "s.key", "server.tls.client_ca_file", "no certificates"),
    ],
)
def test_files_that_the_listener_would_refuse_are_faults(
    config: Config, tmp_path: Path, spoilt: str, by: str, key: str, words: str
) -> None:
    shutil.copyfile(tmp_path / by, tmp_path / spoilt)
    (fault,) = find_tls_faults(config)
    assert fault.key == key
    assert words in fault.sentence
    assert fault.remedy
    assert find_tls_warnings(config, now=NOW) == ()


def test_a_certificate_is_told_thirty_days_before_its_end_and_after_it(config: Config) -> None:
    steps = [(69, None), (71, "in 29 days"), (99, "in 1 days"), (101, "has ended"), (-1, "good only from")]
    for days, words in steps:
        told = [each for each in find_tls_warnings(config, now=NOW + timedelta(days=days)) if "s.pem" in each.sentence]
        assert [words in each.sentence for each in told] == ([True] if words else []), days
    late = find_tls_warnings(config, now=NOW + timedelta(days=399))
    assert [each.key for each in late] == ["server.tls.certificate_file", "server.tls.client_ca_file"]


def test_a_certificate_that_has_ended_is_among_all_warnings(config: Config) -> None:
    told = [each for each in find_warnings(config) if each.key == "server.tls.certificate_file"]
    assert ["has ended" in each.sentence for each in told] == [True]


def test_without_tls_there_is_nothing_to_look_at(tmp_path: Path) -> None:
    config = load_config(None, environ={}, flags={})
    assert find_tls_faults(config) + find_tls_warnings(config) == ()
