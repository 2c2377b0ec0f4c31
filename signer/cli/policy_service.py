"""What the commands about policies ask of a signer, and the two that answer: a running server, or this process."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol
from urllib.parse import quote, urlencode

import msgspec

from signer.auth.principal import OPERATOR, Caller
from signer.cli.connection import Connection
from signer.cli.host import Operations
from signer.errors import UnreachableError
from signer.operations.freeze_keys import parse_public_key
from signer.operations.kept_decisions import decision_query, told_decisions
from signer.operations.manage_policies import told_change, told_policies, told_shadows, told_story
from signer.operations.policy_orders import PolicyOrder, PolicyOrdered
from signer.operations.who_can import told_who_can

Told = Mapping[str, Any]
"""As the admin routes tell it (the docstring of `api/admin_policy.py`)."""

_CALLER = Caller(OPERATOR, address="command line")


class PolicyService(Protocol):
    """A signer that answers commands about policies. Every call blocks and raises SignerError."""

    def order(self, order: PolicyOrder) -> PolicyOrdered:
        """Carry it out."""
        ...

    def policies(self, *, revision: int | None = None) -> Told:
        """What holds, or held."""
        ...

    def policy(self, name: str) -> Told:
        """Everything about one policy."""
        ...

    def named_list(self, name: str, *, revision: int | None = None) -> Told:
        """What a list holds, or held at a revision."""
        ...

    def shadows(self) -> Told:
        """What versions that run beside the live ones have come to; nothing where no server runs."""
        ...

    def decisions(self, *, since_ms: int, until_ms: int | None, after: str | None, limit: int) -> Told:
        """Decisions that are kept with their facts, oldest first."""
        ...

    def pack(self, version: str) -> bytes:
        """The text of a published pack."""
        ...

    def history(self, *, limit: int, before: int | None = None) -> Told:
        """How the sets came to be, newest first."""
        ...

    def who_can(self, key: str, action: str) -> Told:
        """Who may do something with a key, and which policies have a say."""
        ...


class RemotePolicies:
    """A running server, over its admin routes."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def order(self, order: PolicyOrder) -> PolicyOrdered:
        """See `PolicyService.order`."""
        answer = self._connection.post("/admin/policy/orders", msgspec.json.encode(order))
        try:
            return msgspec.convert(answer, PolicyOrdered)
        except msgspec.ValidationError as error:
            raise _misunderstood(self._connection.where, str(error)) from error

    def policies(self, *, revision: int | None = None) -> Told:
        """See `PolicyService.policies`."""
        return self._told("/admin/policy", revision=revision)

    def policy(self, name: str) -> Told:
        """See `PolicyService.policy`."""
        return self._told(f"/admin/policy/policies/{quote(name, safe='')}")

    def named_list(self, name: str, *, revision: int | None = None) -> Told:
        """See `PolicyService.named_list`."""
        return self._told(f"/admin/policy/lists/{quote(name, safe='')}", revision=revision)

    def shadows(self) -> Told:
        """See `PolicyService.shadows`."""
        return self._told("/admin/policy/shadows")

    def decisions(self, *, since_ms: int, until_ms: int | None, after: str | None, limit: int) -> Told:
        """See `PolicyService.decisions`."""
        return self._told("/admin/policy/decisions", since_ms=since_ms, until_ms=until_ms, after=after, limit=limit)

    def pack(self, version: str) -> bytes:
        """See `PolicyService.pack`."""
        return b"".join(self._connection.stream(f"/admin/policy/packs/{quote(version, safe='')}"))

    def history(self, *, limit: int, before: int | None = None) -> Told:
        """See `PolicyService.history`."""
        return self._told("/admin/policy/history", limit=limit, before=before)

    def who_can(self, key: str, action: str) -> Told:
        """See `PolicyService.who_can`."""
        return self._told("/admin/policy/who-can", key=key, action=action)

    def _told(self, path: str, **query: object) -> Told:
        text = urlencode({name: value for name, value in query.items() if value is not None})
        answer = self._connection.get(f"{path}?{text}" if text else path)
        if not isinstance(answer, dict):
            raise _misunderstood(self._connection.where, "no object")
        return answer


class LocalPolicies:
    """The operations of a data directory that this process holds. Owned by one command."""

    def __init__(self, operations: Operations, runner: asyncio.Runner) -> None:
        """`runner` is the one whose loop the operations were opened on."""
        self._operations = operations
        self._runner = runner

    def order(self, order: PolicyOrder) -> PolicyOrdered:
        """See `PolicyService.order`."""
        return self._runner.run(self._operations.policy_management.order(order, _CALLER))

    def policies(self, *, revision: int | None = None) -> Told:
        """See `PolicyService.policies`."""
        management = self._operations.policy_management
        return self._told(lambda: management.policies(_CALLER, revision=revision), told_policies)

    def policy(self, name: str) -> Told:
        """See `PolicyService.policy`."""
        return self._told(lambda: self._operations.policy_management.policy(name, _CALLER), told_story)

    def named_list(self, name: str, *, revision: int | None = None) -> Told:
        """See `PolicyService.named_list`."""
        return self._told(
            lambda: self._operations.policy_management.named_list(name, _CALLER, revision=revision),
            lambda found: {"name": found.name, "items": list(found.items)},
        )

    def shadows(self) -> Told:
        """See `PolicyService.shadows`."""
        return self._told(
            lambda: self._operations.policy_management.policies(_CALLER), lambda found: told_shadows(found, {})
        )

    def decisions(self, *, since_ms: int, until_ms: int | None, after: str | None, limit: int) -> Told:
        """See `PolicyService.decisions`."""
        query = decision_query(since_ms=since_ms, until_ms=until_ms, after=after, limit=limit)
        return self._told(lambda: self._operations.kept_decisions(query, _CALLER), told_decisions)

    def pack(self, version: str) -> bytes:
        """See `PolicyService.pack`."""
        return self._runner.run(self._operations.policy_management.pack(version, _CALLER))

    def history(self, *, limit: int, before: int | None = None) -> Told:
        """See `PolicyService.history`."""
        management = self._operations.policy_management
        return self._told(
            lambda: management.history(_CALLER, limit=limit, before=before),
            lambda changes: {"changes": [told_change(each) for each in changes]},
        )

    def who_can(self, key: str, action: str) -> Told:
        """See `PolicyService.who_can`."""
        public_key = parse_public_key(key)
        return self._told(lambda: self._operations.who_can(public_key, action, _CALLER), told_who_can)

    def _told(self, ask: Callable[[], Awaitable[Any]], tell: Callable[[Any], Told]) -> Told:
        async def asked() -> Any:
            return await ask()

        return tell(self._runner.run(asked()))


def _misunderstood(where: str, reason: str) -> UnreachableError:
    return UnreachableError(
        f"{where} answers something else than this program expects: {reason}",
        remedy="use the `holdfast` of the server's own version",
    )
