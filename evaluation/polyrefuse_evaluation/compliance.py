"""Rates of outcomes with their intervals: from counts to what a report may say.

Knows only counts of outcomes. Differences and averages are in statistics/.
"""

from collections import Counter
from collections.abc import Mapping, Sequence

from polyrefuse.outcomes import JUDGED_OUTCOMES, Outcome
from polyrefuse.results import Rate
from polyrefuse_evaluation.statistics.proportions import wilson_interval


def rate(counts: Mapping[Outcome, int], outcome: Outcome) -> Rate:
    """Return the rate of `outcome` among the judged responses.

    `minimum` and `maximum` are the rate if every unparsed response were something else, or this.

    Raises:
        ValueError: there is no response at all.
    """
    judged = sum(counts.get(known, 0) for known in JUDGED_OUTCOMES)
    unparsed = counts.get(Outcome.UNPARSED, 0)
    total = judged + unparsed
    if total == 0:
        raise ValueError("no responses: a rate of nothing is not 0")
    hits = counts.get(outcome, 0)
    value = low = high = None
    if judged:
        value = hits / judged
        low, high = wilson_interval(hits, judged)
    return Rate(
        value=value, low=low, high=high, minimum=hits / total, maximum=(hits + unparsed) / total
    )


def count_outcomes(outcomes: Sequence[Outcome]) -> dict[Outcome, int]:
    """Return how often each outcome occurs; outcomes that do not occur count 0."""
    counts = Counter(outcomes)
    return {outcome: counts.get(outcome, 0) for outcome in Outcome}
