"""What time does to a signer on a shared database that was killed, without the time."""

from pathlib import Path

from postgres_server import PostgresServer

from signer.operations.shared_record import read_instance


def hasten_end_of_lease(server: PostgresServer, directory: Path, database: str = "postgres") -> None:
    """The lease of whoever worked in this data directory ends half a second from now, and not ten."""
    instance = read_instance(directory)
    if instance is None:
        return  # it had none yet
    server.psql(
        "UPDATE holdfast.instances SET expires_at = clock_timestamp() + interval '0.5 seconds'"
        f" WHERE log_id = '\\x{instance.hex()}'",
        database,
    )
