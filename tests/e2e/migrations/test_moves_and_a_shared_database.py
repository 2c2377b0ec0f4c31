"""Keys that leave a shared record leave every signer on it; and Web3Signer's database is read where it is."""

import json
from pathlib import Path

import client_directories as old
from client_directories import interop_validator
from duty_requests import MAINNET_ROOT, NO_GUARD, line_to, network_of_age, root_of, vote_body
from e2e.shared_signers import make_web3signer_database, name_of
from e2e.worker_processes import until
from postgres_server import PostgresServer
from running import RunningSigner, interop_secret, merged, running_signer

NOW = 100


def ask(signer: RunningSigner, source: int, target: int, mark: str = "") -> str:
    with line_to(signer.port) as line:
        return line.sign(signer.public_keys()[0], vote_body(source, target, mark)).verdict


def departures(signer: RunningSigner) -> str:
    """What lies beside its head file."""
    file = signer.data_directory / "head-departures"
    return file.read_text() if file.exists() else ""


def test_what_leaves_a_shared_record_leaves_every_signer_on_it_and_any_of_them_takes_it_back(
    tmp_path: Path, database_url: str
) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    keys = [interop_secret(40)]
    shared = {
        name: merged(network_of_age(tmp_path / name, NOW + 0.25), {"journal": {"url": database_url}})
        for name in ("one", "two")
    }
    with (
        running_signer(tmp_path / "one", secrets=keys, sections=shared["one"]) as one,
        running_signer(tmp_path / "two", secrets=keys, sections=shared["two"]) as two,
    ):
        assert ask(one, NOW - 2, NOW - 1) == "signed"
        parcel = tmp_path / "parcel"
        left = one.holdfast("migrate", "out", "--all", "--to", parcel)
        assert left.returncode == 0, left.stderr
        assert [ask(signer, NOW - 1, NOW) for signer in (one, two)] == ["412 KEY_DISABLED"] * 2
        # Either keeps in mind which keys have left: whichever of them has to accept an older database one day.
        [key] = one.public_keys()
        until(lambda: all(f"{key} 1" in departures(signer) for signer in (one, two)), 60)
        used = two.holdfast("migrate", "in", parcel, "--json")
        assert json.loads(used.stderr)["code"] == "RECEIPT_USED", "it is of this very record"
        back = two.holdfast("migrate", "undo", parcel, "--reason", "one is gone", "--nothing-else-signs")
        assert back.returncode == 0, back.stderr
        assert ask(one, NOW - 2, NOW - 1, "another head") == "412 DOUBLE_VOTE"
        assert ask(two, NOW - 1, NOW) == "signed"
        until(lambda: not any(key in departures(signer) for signer in (one, two)), 60)


def test_web3signers_database_is_imported_without_an_export(
    tmp_path: Path, database_url: str, postgres: PostgresServer
) -> None:
    validator = interop_validator(41)
    keys = old.web3signer_keys(tmp_path, [validator])
    make_web3signer_database(postgres, name_of(database_url))
    row = f"(1, {NOW - 3}, {NOW - 2}, '\\x{root_of(vote_body(NOW - 3, NOW - 2)).hex()}')"
    for statement in (
        f"INSERT INTO metadata (id, genesis_validators_root) VALUES (1, '\\x{MAINNET_ROOT[2:]}')",
        f"INSERT INTO validators (public_key) VALUES ('\\x{validator.public_key[2:]}')",
        f"INSERT INTO signed_attestations (validator_id, source_epoch, target_epoch, signing_root) VALUES {row}",
        f"INSERT INTO low_watermarks (validator_id, source_epoch, target_epoch) VALUES (1, {NOW - 3}, {NOW - 2})",
    ):
        postgres.psql(statement, name_of(database_url))
    sections = merged(
        network_of_age(tmp_path, NOW + 0.25), {"keys": {"quarantine_epochs": 2, "config_directory": str(keys)}}
    )
    with running_signer(tmp_path, sections=sections) as signer:
        assert ask(signer, NOW - 1, NOW) == "412 KEY_QUARANTINED"
        told = signer.holdfast("slashing", "import", database_url, "--yes")
        assert told.returncode == 0, told.stderr
        assert ask(signer, NOW - 3, NOW - 2) == "signed", "a repeat"
        assert ask(signer, NOW - 3, NOW - 2, "another head") == "412 DOUBLE_VOTE"
        assert ask(signer, NOW - 4, NOW - 3) == "412 BELOW_FLOOR"
        assert ask(signer, NOW - 1, NOW) == "signed"


def test_a_key_that_left_stays_away_when_an_older_copy_is_accepted(tmp_path: Path) -> None:
    keys, sections = [interop_secret(41)], merged(network_of_age(tmp_path, NOW + 0.25), NO_GUARD)
    with running_signer(tmp_path, secrets=keys, sections=sections) as signer:
        assert ask(signer, NOW - 2, NOW - 1) == "signed"
        [database] = tmp_path.rglob("journal.sqlite")
        signer.stop()
        copy = database.read_bytes()
        parcel = tmp_path / "parcel"
        left = signer.holdfast("migrate", "out", "--all", "--to", parcel)
        assert left.returncode == 0, left.stderr
        for file in database.parent.glob("journal.sqlite*"):
            file.unlink()
        database.write_bytes(copy)
        database.chmod(0o600)

        accepted = signer.holdfast("slashing", "accept-restore", "--yes", "--json")
        assert accepted.returncode == 0, accepted.stderr
        told = json.loads(accepted.stdout)
        assert "stay out of service" in accepted.stderr
        signer.restart()
        assert told["stays_away"] == signer.public_keys()
        floor = told["floor_epoch"]
        assert ask(signer, floor + 1, floor + 2) == "412 KEY_DISABLED", "above every floor, and it signs elsewhere"
        again = signer.holdfast("migrate", "out", "--all", "--to", tmp_path / "again")
        assert "had left before" in again.stderr
        assert "had left before" not in left.stderr
        assert "another receipt of the same move" in again.stderr
        back = signer.holdfast("migrate", "undo", parcel, "--reason", "it never began", "--nothing-else-signs")
        assert back.returncode == 0, back.stderr
        assert "every other receipt" in back.stderr
        late = signer.holdfast("migrate", "undo", tmp_path / "again", "--reason", "both", "--nothing-else-signs")
        assert late.returncode == 1
        assert "destroy this receipt" in late.stderr
        assert ask(signer, floor + 1, floor + 2) == "signed"
