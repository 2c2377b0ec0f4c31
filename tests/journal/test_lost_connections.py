"""What is told of a connection that is gone: a sentence for people, and nothing of the driver's inside."""

import asyncpg
import pytest

from signer.journal.postgres_session import lost_reason


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (
            asyncpg.InternalClientError("cannot switch to state 12; another operation (2) is in progress"),
            "the server ended the connection",
        ),
        (
            asyncpg.InterfaceError("cannot perform operation: another operation is in progress"),
            "the server ended the connection",
        ),
        (
            asyncpg.TargetServerAttributeNotMatched("None of the hosts match the target attribute requirement"),
            "none of the hosts is what target_session_attrs asks for",
        ),
        (TimeoutError(), "the server did not answer in time"),
        (
            asyncpg.AdminShutdownError("terminating connection due to administrator command"),
            "terminating connection due to administrator command",
        ),
        (ConnectionRefusedError(111, "Connection refused"), "[Errno 111] Connection refused"),
        (OSError(), "OSError"),
    ],
)
def test_a_lost_connection_is_told_in_plain_words(error: Exception, told: str) -> None:
    assert lost_reason(error) == told
