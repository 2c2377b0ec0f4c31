"""How often versions that run beside were compared with the live ones, and how often they differed, since the start."""

from collections import Counter
from collections.abc import Iterable, Mapping

from signer.telemetry.metrics import Metrics
from signer.telemetry.summing import summed

ShadowCounts = Mapping[str, tuple[int, int]]
"""By policy: comparisons, and differences among them."""


def shadow_counts(metrics: Metrics) -> ShadowCounts:
    """Of the processes whose tallies these are."""
    compared = Counter[str]()
    for (policy, _, _), counter in list(metrics.shadow_comparisons.items()):
        compared[policy] += int(counter.value)
    differences = {policy: int(counter.value) for policy, counter in list(metrics.shadow_differences.items())}
    return {policy: (count, differences.get(policy, 0)) for policy, count in sorted(compared.items())}


def shadow_counts_of_all(metrics: Metrics, others: Iterable[bytes]) -> ShadowCounts:
    """Of the main process and its workers; `others` is what these have counted."""
    return shadow_counts(summed(metrics, others))
