"""Walk the gate for a duty without asking for its signature: the same checks in the same order, and nothing is written.

The answer holds for the moment. Whoever asks for the signature afterwards is judged again, inside the commit.
"""

import asyncio
from dataclasses import dataclass
from typing import Any

from signer.approvals.ledger import ApprovalLedger
from signer.auth.principal import Caller
from signer.errors import PolicyChangedError, RefusalError
from signer.eth2.networks import Network
from signer.intent import SignDuty
from signer.journal.reader import Reading
from signer.keys.ledger import KeyStateLedger
from signer.keys.preference_ledger import PreferenceLedger
from signer.operations.gate import Gate
from signer.policy.combine import Outcome
from signer.policy.counters import CounterLedger
from signer.policy.policy_set_ledger import PolicySetLedger
from signer.slashing.ledger import AttestationLedger, BlockLedger
from signer.slashing.network import NetworkLedger
from signer.units import Root


@dataclass(frozen=True, slots=True)
class DryVerdict:
    """What asking for the signature would come to."""

    signing_root: Root
    refusal: RefusalError | None
    """Why not, or None where it would be signed."""

    repeat: bool = False
    """Everything is on record already: the same signature would be given again."""

    outcomes: tuple[Outcome, ...] = ()
    """What each policy says; none where none is bound, or where it does not come to that."""


class DryRun:
    """One instance for the life of the process; reads beside the writer."""

    def __init__(self, *, gate: Gate, read: Reading, network: Network) -> None:
        self._gate = gate
        self._read = read
        # Those of the record (`operations/record.py`); none remembers anything between two questions.
        keys = KeyStateLedger(alone=False, begins=network.seconds_of_epoch)
        preferences, policies = PreferenceLedger(alone=False), PolicySetLedger(alone=False)
        counters, votes, blocks = CounterLedger(writes=False), AttestationLedger(), BlockLedger()
        ledgers: tuple[Any, ...] = (
            *(keys, preferences, policies, counters, votes, blocks),
            NetworkLedger(),
            ApprovalLedger(writes=False),
        )
        self._ledgers = {ledger.claim_type: ledger for ledger in ledgers}

    async def __call__(self, intent: SignDuty, caller: Caller) -> DryVerdict:
        """Whether this would be signed now.

        Raises:
            RequestError, UnknownKeyError, ForbiddenError, UnavailableError: as asking for the signature would.
        """
        try:
            return await self._walk(intent, caller)
        except PolicyChangedError as changed:
            await self._gate.read_policies_again(beyond=int(changed.evidence["judged_by"] or 0))
            return await self._walk(intent, caller)

    async def _walk(self, intent: SignDuty, caller: Caller) -> DryVerdict:
        """Raises PolicyChangedError too: what is known here of the policies is old."""
        key, root = self._gate.identify(intent, caller)
        heard: list[Outcome] = []
        try:
            passed = self._gate.decide(intent, caller, key=key, root=root)
            passed = await self._gate.ask_for_nothing(
                intent, passed, caller, listen=lambda judged: heard.extend(judged.outcomes)
            )
            repeat = await asyncio.to_thread(self._judge, passed.claims)
        except PolicyChangedError:
            raise
        except RefusalError as refusal:
            return DryVerdict(root, refusal, outcomes=tuple(heard))
        return DryVerdict(root, None, repeat, tuple(heard))

    def _judge(self, claims: tuple[Any, ...]) -> bool:
        """True where all is on record that could be. A claim of a kind that nobody judges is an error: KeyError."""
        found = []
        with self._read() as moment:
            for claim in claims:
                ledger = self._ledgers[type(claim)]
                found.append(ledger.judge(claim, ledger.load(moment, [claim])))
        recorded = [is_new for is_new in found if is_new is not None]
        return bool(recorded) and not any(recorded)
