"""What policies add to a command, over the link: the revision that was asked, what is spent and which approval is used.

Amounts travel in decimal: they have up to 256 bits.
"""

from typing import Any

from signer.approvals.ledger import ApprovalClaim
from signer.policy.counters import Act, CounterClaim, CounterId, GiveBack, Seen, Spend
from signer.policy.policy_set_ledger import PolicySetClaim
from signer.relay.approval_orders import ApprovalRow, approval_of, approval_row
from signer.relay.command_rows import CounterRow, GiveBackRow, PolicySetRow, SeenRow, SpendingRow, SpendRow


def policy_claim_row(claim: Any) -> PolicySetRow | SpendingRow | ApprovalRow:
    """A claim as it travels. Raises TypeError for one that has no row."""
    match claim:
        case PolicySetClaim():
            return PolicySetRow(claim.revision)
        case CounterClaim():
            return _spending_row(claim)
        case ApprovalClaim():
            return approval_row(claim)
        case _:
            raise TypeError(f"a {type(claim).__name__} cannot be sent to the main process")


def policy_claim_of(
    row: PolicySetRow | SpendingRow | ApprovalRow,
) -> PolicySetClaim | CounterClaim | ApprovalClaim:
    """The claim again."""
    match row:
        case PolicySetRow():
            return PolicySetClaim(row.revision)
        case SpendingRow():
            return _spending_of(row)
        case ApprovalRow():
            return approval_of(row)


def _spending_row(claim: CounterClaim) -> SpendingRow:
    return SpendingRow(claim.at_seconds, tuple([_act_row(act) for act in claim.acts]))


def _spending_of(row: SpendingRow) -> CounterClaim:
    return CounterClaim(row.at_seconds, tuple([_act_of(act) for act in row.acts]))


def _act_row(act: Act) -> SpendRow | GiveBackRow | SeenRow:
    counter = CounterRow(act.counter.policy, act.counter.counter, act.counter.window_seconds)
    match act:
        case Spend():
            return SpendRow(counter, str(act.amount), str(act.limit))
        case GiveBack():
            return GiveBackRow(counter, str(act.amount))
        case Seen():
            return SeenRow(counter, str(act.spent))


def _act_of(row: SpendRow | GiveBackRow | SeenRow) -> Act:
    counter = CounterId(row.counter.policy, row.counter.counter, row.counter.window_seconds)
    match row:
        case SpendRow():
            return Spend(counter, int(row.amount), int(row.limit))
        case GiveBackRow():
            return GiveBack(counter, int(row.amount))
        case SeenRow():
            return Seen(counter, int(row.spent))
