"""Carry an operator's orders about policies out: in the process that keeps the record.

Rule 1: what decides has been loaded once before: by whoever published it, and again before it is activated.
Rule 2: the change is made of the set as the transaction finds it, under the lock of all changes; what was looked at
before (a pack that loads, the version that was staged) is compared with it.
"""

import asyncio
import logging

from signer.audit.entry import Kind
from signer.auth.principal import Caller
from signer.clock import Clock
from signer.errors import PolicyOrderError, PolicyRevisionError, PolicySignatureError
from signer.events import ApprovalMoved, Events
from signer.journal.ledger import Transaction
from signer.journal.reader import Reading
from signer.operations.changes import Changes
from signer.operations.guard_policies import spend_approval
from signer.operations.policy_orders import (
    ActivatePolicy,
    PolicyOrder,
    PolicyOrdered,
    PublishPolicy,
    ShadowPolicy,
)
from signer.operations.policy_plans import Plan, plan_of, versions_told
from signer.operations.reading import read_record
from signer.operations.story import NoteStory
from signer.policy import policy_changes as changes_of
from signer.policy.load_pack import check_loads
from signer.policy.pack import is_signed_by, read_pack, version_of
from signer.policy.policy_record import (
    Published,
    add_pack,
    find_published,
    lock_policies,
    note_signature,
    read_policy_set,
    store_policy_set,
)
from signer.policy.policy_record import read_pack as read_packed
from signer.policy.policy_set import PolicySet

_log = logging.getLogger("holdfast.policy")


class LocalPolicyOrders:
    """Orders, by the writer of this process. One instance for its life, on its event loop."""

    def __init__(self, *, changes: Changes, reading: Reading, clock: Clock, events: Events) -> None:
        self._changes = changes
        self._events = events
        self._reading = reading
        self._clock = clock

    async def carry_out(self, order: PolicyOrder, caller: Caller, *, approval_id: bytes = b"") -> PolicyOrdered:
        """See PolicyOrders.

        Crash before the commit: the former set holds, on every instance. Crash after it: the new one does; whoever
        was not answered finds it on record, and may order the same again.
        """
        plan = await self._plan(order, caller)
        now_ms = int(self._clock.now() * 1000)

        def change(transaction: Transaction) -> PolicyOrdered:
            lock_policies(transaction)
            before = read_policy_set(transaction)
            if order.if_revision is not None and order.if_revision != before.revision:
                raise PolicyRevisionError(wanted=order.if_revision, holds=before.revision)
            after = plan.make(transaction, before)
            if after == before:
                return PolicyOrdered(before.revision, "unchanged", plan.told(before, after), plan.version)
            spend_approval(transaction, order, before, caller=caller, approval_id=approval_id, now_ms=now_ms)
            told = plan.told(before, after)
            newest = store_policy_set(
                transaction, after, changed_ms=now_ms, changed_by=caller.principal.name, change=told
            )
            return PolicyOrdered(newest.revision, "done", told, plan.version)

        def story(done: PolicyOrdered) -> NoteStory:
            outcome = f"revision {done.revision}" if done.status == "done" else "was so before"
            approved = f"; approval {approval_id.hex()}" if approval_id else ""
            note = f"{done.change}; {outcome}{approved}"
            return NoteStory(plan.kind, now_ms, note, caller.principal.name, caller.request_id)

        done = await self._changes.perform(change, story)
        if approval_id and done.status == "done":
            self._events.publish(ApprovalMoved("spent"))
        _log.info("policies: %s ordered: %s; revision %d holds", caller.principal.name, done.change, done.revision)
        return done

    async def _plan(self, order: PolicyOrder, caller: Caller) -> Plan:
        match order:
            case PublishPolicy():
                return await self._publishing(order, caller)
            case ActivatePolicy():
                return await self._activating(order)
            case ShadowPolicy():
                return await self._shadowing(order)
            case _:
                return plan_of(order)

    # --- what must be looked at before ---------------------------------------------------------------

    async def _publishing(self, order: PublishPolicy, caller: Caller) -> Plan:
        pack = await asyncio.to_thread(read_pack, order.pack)
        await asyncio.to_thread(check_loads, pack)
        name, version = pack.manifest.name, version_of(order.pack)
        published_ms = int(self._clock.now() * 1000)

        def make(transaction: Transaction, policies: PolicySet) -> PolicySet:
            signed_by = _signer_of(order, policies)
            signature = order.signature or None
            published = Published(
                version, name, len(order.pack), signature, signed_by, published_ms, caller.principal.name
            )
            known = find_published(transaction, version)
            if known is None:
                add_pack(transaction, order.pack, published)
            elif signature and known.signature != signature:
                note_signature(transaction, published)
            return changes_of.staged(policies, name, version)

        def told(_before: PolicySet, after: PolicySet) -> str:
            policy = changes_of.get_policy(after, name)
            signed = f" signed by 0x{signed_by.hex()}" if (signed_by := _signer_of(order, after)) else ""
            decides = f", {policy.version} decides" if policy.version else ""
            return f"published policy {name} version {version}{signed}{decides}"

        return Plan(Kind.POLICY_PUBLISHED, make, told, version)

    async def _activating(self, order: ActivatePolicy) -> Plan:
        name = order.name
        version = await self._checked_version(order.name, order.version, staged=not order.version)

        def make(transaction: Transaction, policies: PolicySet) -> PolicySet:
            policy = changes_of.get_policy(policies, name)
            if not order.version and policy.staged != version:
                raise PolicyOrderError(
                    f"another version of policy {name} was staged meanwhile: {policy.staged or 'none'} instead of"
                    f" {version}. Activate the one that is meant by its version",
                    evidence={"policy": name, "staged": policy.staged or None},
                )
            _check_trusted(transaction, policies, version)
            return changes_of.activated(policies, name, version)

        return Plan(Kind.POLICY_ACTIVATED, make, versions_told(name, "activated"), version)

    async def _shadowing(self, order: ShadowPolicy) -> Plan:
        name, version = order.name, order.version
        if version:
            await self._checked_version(name, version, staged=False)

        def make(transaction: Transaction, policies: PolicySet) -> PolicySet:
            if version:
                _check_trusted(transaction, policies, version)
            return changes_of.shadowed(policies, name, version)

        def told(before: PolicySet, _after: PolicySet) -> str:
            former = changes_of.get_policy(before, name).shadow
            return f"shadow of policy {name}: {former or 'none'} -> {version or 'none'}"

        return Plan(Kind.POLICY_SHADOWED, make, told, version)

    async def _checked_version(self, name: str, version: str, *, staged: bool) -> str:
        """The version that is meant, once it has loaded. Raises UnknownPolicyError, PolicyOrderError."""

        def look(moment: Transaction) -> tuple[str, bytes]:
            wanted = version
            if staged:
                wanted = changes_of.get_policy(read_policy_set(moment), name).staged
                if not wanted:
                    raise PolicyOrderError(
                        f"no version of policy {name} is staged: publish one, or name the version to activate",
                        evidence={"policy": name},
                    )
            published = find_published(moment, wanted)
            if published is not None and published.name != name:
                raise PolicyOrderError(
                    f"version {wanted} was published as policy {published.name}, and not as {name}",
                    evidence={"policy": name, "version": wanted, "published_as": published.name},
                )
            return wanted, read_packed(moment, wanted)

        wanted, text = await asyncio.to_thread(read_record, self._reading, look)
        await asyncio.to_thread(check_loads, read_pack(text))
        return wanted


def _signer_of(order: PublishPolicy, policies: PolicySet) -> bytes | None:
    """Whose signature it is; None where there is none, and none is asked for. Raises PolicySignatureError."""
    if not order.signature:
        if policies.trusted_keys:
            raise PolicySignatureError(
                "this signer publishes only policies that a trusted key has signed, and this one is not signed:"
                " sign it (`holdfast policy build --sign-with KEYFILE`)",
                evidence={"trusted_keys": len(policies.trusted_keys)},
            )
        return None
    named = (order.signed_by,) if order.signed_by else policies.trusted_keys
    if not named:
        raise PolicySignatureError("a signature is given, and not whose: name the key in signed_by")
    for key in named:
        if is_signed_by(order.pack, order.signature, bytes.fromhex(key)):
            if policies.trusted_keys and key not in policies.trusted_keys:
                raise PolicySignatureError(
                    "the key that has signed this policy is not among the trusted ones", evidence={"signed_by": key}
                )
            return bytes.fromhex(key)
    whose = f"key 0x{order.signed_by}" if order.signed_by else "any trusted key"
    raise PolicySignatureError(
        f"the signature is not one of {whose} over exactly this policy: another pack was signed, or by another key",
        evidence={"version": version_of(order.pack)},
    )


def _check_trusted(transaction: Transaction, policies: PolicySet, version: str) -> None:
    """What was published before a key was trusted, or while another was, does not slip in by being activated."""
    if not policies.trusted_keys:
        return
    published = find_published(transaction, version)
    signed_by = None if published is None or published.signed_by is None else published.signed_by.hex()
    if signed_by not in policies.trusted_keys:
        whose = f"0x{signed_by}" if signed_by else "nobody"
        raise PolicySignatureError(
            f"version {version} is signed by {whose}, and only trusted keys are heard: publish it again"
            " with the signature of one of them",
            evidence={"version": version, "signed_by": signed_by},
        )
