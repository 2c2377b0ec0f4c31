"""What still has to be approved, as whoever asks and whoever refuses says it. Pure."""

from collections.abc import Iterable

from signer.approvals.request import Demand
from signer.approvals.rules import Progress
from signer.counted import counted


def demand_words(demand: Demand) -> str:
    """A demand that nobody has met yet: `staking needs 2 approvals from members of operators`."""
    return _needs(demand, counted(demand.quorum, "approval"))


def missing_words(progress: Iterable[Progress]) -> str:
    """What is missing still of several demands: `staking needs 1 more approval from ...`; empty where nothing is."""
    return "; ".join(_missing(each) for each in progress if each.missing)


def _missing(progress: Progress) -> str:
    if progress.missing == progress.demand.quorum:
        return demand_words(progress.demand)
    return _needs(progress.demand, counted(progress.missing, "more approval"))


def _needs(demand: Demand, approvals: str) -> str:
    return f"{demand.policy} needs {approvals} from members of {' or '.join(demand.groups)}"
