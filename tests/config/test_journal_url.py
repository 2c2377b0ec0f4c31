"""`journal.url`: which URLs are taken, and what is shown of one that holds a password."""

from contextlib import suppress
from pathlib import Path

import pytest

from signer.config.journal_url import JournalUrl, find_url_fault, journal_address
from signer.config.load import load_config
from signer.config.production import find_faults, find_warnings
from signer.config.show import show
from signer.errors import ConfigError

TAKEN = (
    "sqlite",
    "postgresql://holdfast@db.example:5432/holdfast",
    "postgres://holdfast@db/holdfast?sslmode=verify-full&sslrootcert=/etc/ssl/db.pem",
    "postgresql://holdfast@one,two:5433/holdfast?target_session_attrs=primary",
    "postgresql:///holdfast?host=/run/postgresql",
    "postgresql://db/?dbname=holdfast",
    "postgresql://u%40x:p%23%2F@db/holdfast",
    "postgresql://u:p@%2Frun%2Fpostgresql/holdfast",
    "postgresql://u:p@[fe80::1%25eth0]:5432,[::1],db:1/holdfast",
    "postgresql:///holdfast?user=u@azure&host=[::1]:5432,db:5432",
)
REFUSED = {
    "": "wants",
    "SQLITE": "wants",
    "sqlite:///file": "wants",
    "mysql://db/holdfast": "wants",
    "postgresql:holdfast": "wants",
    "jdbc:postgresql://db/holdfast": "wants",
    "postgresql://db": "names no database",
    "postgresql://db/": "names no database",
    "postgresql://db/holdfast?sslmod=require": "only these parameters",
    "postgresql://db/holdfast?options=-cfsync%3Doff": "only these parameters",
    "postgresql://u:p@x@db/holdfast": "%40",
    "postgresql://u:p#x@db/holdfast": "%23",
    "postgresql://u:p/x@db:5432/holdfast": "%2F",
    "postgresql://u:5432/x@db/holdfast": "%2F",
    "postgresql://u:p?x@db/holdfast": "no URL",
    "postgresql://u:p?user=x@db/holdfast": "%3F",
    "postgresql://u:p%40db/holdfast": "%40",
    "postgresql://u:p@db:/holdfast": "%40",
    "postgresql://u:p:q/holdfast": "%40",
    "postgresql://u:p\tq@db/holdfast": "written %",
    "postgresql://db/postgresql%3A%2F%2Fu%3Ap%40db%2Fx": "no other URL",
    "postgresql://db?dbname=host%3Ddb+password%3Dp": "no other URL",
    "postgresql:///x?host=u:p@db": "hosts alone",
    "jdbc:postgresql://db/x?password=p": "wants",
}


@pytest.mark.parametrize("text", TAKEN)
def test_libpqs_urls_are_taken(text: str) -> None:
    assert find_url_fault(text) is None


@pytest.mark.parametrize("text", REFUSED)
def test_what_the_driver_would_misread_is_refused_with_a_reason(text: str) -> None:
    assert REFUSED[text] in (find_url_fault(text) or "")


@pytest.mark.parametrize("mark", "/#?@:[]%\\\t;&= +,")
def test_no_password_is_ever_shown_whatever_it_is_made_of(mark: str) -> None:
    for password in (f"hunt{mark}erzebra", f"{mark}hunt{mark}erzebra{mark}", f"543{mark}zebra", f"hunt{mark}erzebra/"):
        for text in (
            f"postgresql://u:{password}@127.0.0.1:55431/x",
            f"postgresql://:{password}@/x?host=/run/postgresql",
            f"postgresql://u:{password}@%2Frun%2Fpostgresql/x",
            f"postgresql://u:{password}@/run/postgresql/x",
        ):
            assert "zebra" not in f"{JournalUrl(text)}{find_url_fault(text)}", text
            with suppress(ConfigError):
                config = load_config(None, environ={"HOLDFAST_JOURNAL__URL": text}, flags={})
                assert "zebra" not in repr(config) + repr(show(config)), text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("sqlite", "sqlite"),
        ("postgresql://u@db/x", "postgresql://u@db/x"),
        ("postgresql://u:hunter2@db:1/x?sslmode=require", "postgresql://u:********@db:1/x?sslmode=require"),
        ("postgresql://u:@db/x", "postgresql://u:********@db/x"),
        ("postgresql://:hunter2@db/x", "postgresql://:********@db/x"),
        ("postgresql://u%3Ahunter2@db/x", "postgresql://u:********@db/x"),
        ("postgresql://u:hunter2@%2Frun%2Fdb/x", "postgresql://u:********@%2Frun%2Fdb/x"),
        ("postgresql://db/x?p%61ssword=hunter2&password=hunter2", "postgresql://db/x?p%61ssword=********&password=********"),
        ("postgresql://u:hunter2/x@db/x", "postgresql://********"),
        ("postgresql://db/x?user=u&password=hunter2", "postgresql://db/x?user=u&password=********"),
        ("postgresql://u@db/x?sslpassword=hunter2&sslmode=require", "postgresql://u@db/x?sslpassword=********&sslmode=require"),
    ],
)  # fmt: skip
def test_of_a_password_only_stars_are_shown(text: str, shown: str) -> None:
    url = JournalUrl(text)
    assert str(url) == shown
    assert "hunter2" not in f"{url} {url!r} {[url]}"


def test_the_password_of_a_file_reaches_the_driver_alone(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("hun/ter&2 =%\n")
    flags = {"journal.url": "postgresql://u@db/x?sslmode=require", "journal.password_file": str(file)}
    config = load_config(None, environ={}, flags=flags)
    assert journal_address(config.journal.url, config.journal.password_file) == (
        "postgresql://u@db/x?sslmode=require&password=hun%2Fter%262%20%3D%25"
    )
    assert "hun" not in repr(config) + repr(show(config))
    assert {each.key: each.value for each in show(config)}["journal.url"] == '"postgresql://u@db/x?sslmode=require"'


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("sqlite", "names no PostgreSQL"),
        ("postgresql://u:p@db/x", "another"),
        ("postgresql://db/x?password=p", "another"),
    ],
)
def test_a_password_file_goes_with_a_url_that_needs_one(tmp_path: Path, url: str, told: str) -> None:
    file = tmp_path / "password"
    file.write_text("secret\n")
    with pytest.raises(ConfigError, match=told):
        load_config(None, environ={}, flags={"journal.url": url, "journal.password_file": str(file)})


def test_a_file_that_the_url_names_must_be_there(tmp_path: Path) -> None:
    file = tmp_path / "db-ca.pem"
    flags = {"journal.url": f"postgresql://u@db/x?sslmode=verify-full&sslrootcert={file}"}
    with pytest.raises(ConfigError, match=r"db-ca\.pem"):
        load_config(None, environ={}, flags=flags)
    file.touch()
    assert load_config(None, environ={}, flags=flags).journal.url.files == {"sslrootcert": file}


@pytest.mark.parametrize(
    ("text", "checked"),
    [
        ("postgresql://u@db/x", False),
        ("postgresql://u@db/x?sslmode=require", False),
        ("postgresql://u@db/x?sslmode=verify-full", True),
        ("postgresql://u@localhost:5432/x", True),
        ("postgresql://u@127.0.0.1/x", True),
        ("postgresql://u@[::1]:5432/x", True),
        ("postgresql://u@[2001:db8::1]:5432/x", False),
        ("postgresql:///x?host=/run/postgresql", True),
        ("postgresql://u@%2Frun%2Fpostgresql/x", True),
        ("postgresql:///x", True),
        ("postgresql://u@localhost,db2/x", False),
        ("postgresql://localhost@db/x", False),
    ],
)
def test_production_warns_of_a_database_elsewhere_whose_certificate_is_not_checked(text: str, checked: bool) -> None:
    config = load_config(None, environ={}, flags={"journal.url": text}, preset="production", files_must_exist=False)
    told = [fault for fault in find_warnings(config) if fault.key == "journal.url"]
    assert (not told) is checked


def test_production_refuses_a_password_in_a_file_that_others_may_read(tmp_path: Path) -> None:
    file = tmp_path / "holdfast.yaml"
    file.write_text("journal: {url: 'postgresql://u:hunter2@127.0.0.1/x'}\n")
    for mode, refused in ((0o644, True), (0o600, False)):
        file.chmod(mode)
        config = load_config(file, environ={}, flags={}, files_must_exist=False)
        told = [fault for fault in find_faults(config) if fault.key == "journal.url"]
        assert bool(told) is refused
        assert "hunter2" not in repr(told)
