"""An instance's lease on a shared database: while it holds, nobody else writes under the same name.

Every batch takes the instance's row FOR SHARE before anything else; whoever takes the lease over takes it FOR UPDATE,
which waits for the batch under way, and puts a token of its own into it. So a process that was paused, or whose commit
is still under way somewhere, cannot commit after the take-over. Times are the database's clock alone.
"""

import logging
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass

from signer.errors import InstanceInUseError, LeaseLostError, RolledBackError, StartupError
from signer.journal.postgres_session import LostConnectionError, ServerRefusedError, Session, filled
from signer.journal.postgres_setup import log_schema

LEASE_SECONDS = 10.0
"""How long a lease lasts without being renewed, by the database's clock."""

RENEWAL_SECONDS = 3.0
"""How often it is renewed: three times before it ends."""

IDLE_IN_TRANSACTION = "5s"
"""A process paused in the middle of a batch loses it after this, so that a take-over does not wait for it."""

_FIND = """
SELECT token, NOT released AND expires_at > clock_timestamp(), expires_at::text FROM holdfast.instances
WHERE log_id = ?
"""
_ENTER = """
INSERT INTO holdfast.instances (log_id, token, expires_at, incarnation, released)
VALUES (?1, ?2, clock_timestamp() + make_interval(secs => ?3), holdfast.incarnation(), false)
"""
_TAKE = """
UPDATE holdfast.instances SET token = ?2, expires_at = clock_timestamp() + make_interval(secs => ?3), released = false
WHERE log_id = ?1
"""
_GIVE_UP = "UPDATE holdfast.instances SET expires_at = clock_timestamp() WHERE log_id = ? AND token = ?"
_POLL_SECONDS = 0.25

_log = logging.getLogger("holdfast")


@dataclass(slots=True)
class Lease:
    """One instance's, owned by its database connection."""

    instance: bytes
    """16 bytes: the id of its audit log."""

    renewal_seconds: float = RENEWAL_SECONDS
    """How often whoever holds it renews it."""

    token: int | None = None
    """What stands in its row while it is ours; None before it was taken."""

    _tried: frozenset[int] = frozenset()
    """Tokens whose taking may have happened, though its outcome was lost."""

    _past: frozenset[int] = frozenset()
    """Tokens that were ours before this one: a database that shows one again has lost the newer."""

    @property
    def hold(self) -> str:
        """The statement that every batch begins with."""
        return filled("SELECT holdfast.hold_lease(?, ?)", (self.instance, self.token))

    def enter(self, session: Session, *, seconds: float) -> None:
        """Take the lease of an instance that was never seen before."""
        token = self._draw()
        text = filled(_ENTER, (self.instance, token, int(LEASE_SECONDS)))
        make_log = f"SELECT holdfast.make_log('{log_schema(self.instance)}')"
        session.script(f"BEGIN; {text}; {make_log}; COMMIT", seconds=seconds, commits=True)
        self._keep(token)

    def is_known(self, session: Session, *, seconds: float) -> bool:
        """True when the database has a row for this instance."""
        return bool(session.rows(_FIND, (self.instance,), seconds=seconds))

    def wait(self, session: Session, *, seconds: float, tell: Callable[[], None] = lambda: None) -> None:
        """Return once nobody holds it: a crashed run's lease ends by itself. `tell` is called where there is a wait.

        Raises:
            InstanceInUseError: somebody goes on renewing it.
        """
        first = None
        ends = time.monotonic() + 2 * LEASE_SECONDS
        while True:
            found = session.rows(_FIND, (self.instance,), seconds=seconds)
            if not found or not found[0][1]:
                return
            expires_at = found[0][2]
            if first is None:
                first = expires_at
                tell()
            if expires_at != first or time.monotonic() > ends:
                raise InstanceInUseError(self.instance.hex())
            time.sleep(_POLL_SECONDS)

    def take(self, session: Session, *, seconds: float, new_run: bool) -> None:
        """Take it with a new token, after waiting for whatever is still under way under the old one.

        Raises:
            LeaseLostError: another process took it over since. InstanceInUseError: another holds it (`new_run`).
            RolledBackError: the database does not know this instance any more, or an older lease of it.
            asyncpg.PostgresError. LostConnectionError.
        """
        token = self._draw()
        session.script("BEGIN", seconds=seconds)
        found = session.rows(_FIND + " FOR UPDATE", (self.instance,), seconds=seconds)
        if not found:
            session.script("ROLLBACK", seconds=seconds)
            raise RolledBackError(
                "the database does not know this instance: it was restored from a copy older than the instance's start",
                remedy="bring the newest database back; see docs/postgresql.md",
                evidence={"instance": self.instance.hex()},
            )
        holder, live, _ = found[0]
        if new_run and live:
            session.script("ROLLBACK", seconds=seconds)
            raise InstanceInUseError(self.instance.hex())
        if not new_run and holder != self.token and holder not in self._tried:
            session.script("ROLLBACK", seconds=seconds)
            raise self._lost(holder)
        text = filled(_TAKE, (self.instance, token, int(LEASE_SECONDS)))
        session.script(f"{text}; COMMIT", seconds=seconds, commits=True)
        self._keep(token)

    def renew(self, session: Session, *, seconds: float) -> None:
        """Renew it. Raises asyncpg.PostgresError: it is not ours any more."""
        values = (self.instance, self.token, int(LEASE_SECONDS))
        session.script(filled("SELECT holdfast.renew_lease(?, ?, ?)", values), seconds=seconds)

    def release(self, session: Session, *, seconds: float) -> None:
        """Give it back: the next run need not wait, and nobody waits for this instance to confirm its log."""
        session.script(filled("SELECT holdfast.release_lease(?, ?)", (self.instance, self.token)), seconds=seconds)

    def give_up(self, session: Session, *, seconds: float) -> None:
        """Let it end at once, and not as after an orderly stop: others still wait for this instance's word."""
        session.script(filled(_GIVE_UP, (self.instance, self.token)), seconds=seconds)

    def protest(self, session: Session, *, seconds: float) -> None:
        """Stop every signer on a database that has not all that this instance knows of. Never raises.

        Until an operator accepts the loss: no word of this instance lifts it, for it cannot confirm its log.
        """
        try:
            session.script("ROLLBACK", seconds=seconds)  # alone: where none is open it warns, and no commit may
            text = filled("SELECT holdfast.protest(?)", (self.instance,))
            if not self.is_known(session, seconds=seconds):
                text += f"; SELECT holdfast.make_log('{log_schema(self.instance)}')"
            session.script(f"BEGIN; {text}; COMMIT", seconds=seconds, commits=True)
        except (LostConnectionError, ServerRefusedError) as error:
            _log.error("the other signers of this database could not be told that it lost entries: %s", error)

    def _lost(self, holder: int) -> StartupError:
        if holder not in self._past:
            return LeaseLostError(self.instance.hex())
        return RolledBackError(
            "the database holds an older lease of this very process: it went back in time",
            remedy="bring the newest database back; a replica took over that never had the newest commits",
            evidence={"instance": self.instance.hex()},
        )

    def _draw(self) -> int:
        token = secrets.randbits(62)
        self._tried |= {token}
        return token

    def _keep(self, token: int) -> None:
        if self.token is not None:
            self._past |= {self.token}
        self.token, self._tried = token, frozenset()
