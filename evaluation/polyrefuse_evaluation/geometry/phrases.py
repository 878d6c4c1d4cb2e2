"""Small phrases that paragraphs are made of: lists of languages, ranges, values with bounds."""

from collections.abc import Iterable, Sequence

from polyrefuse_evaluation.report.views import language_of, number


def names(codes: Iterable[str]) -> str:
    """Return language names as a list in prose."""
    found = [language_of(code).name for code in codes]
    if len(found) < 2:
        return "".join(found) or "none"
    return f"{', '.join(found[:-1])} and {found[-1]}"


def span(values: Sequence[float], decimals: int = 2) -> str:
    """Return the range of values, e.g. "0.95 to 1.00"."""
    low, high = number(min(values), decimals), number(max(values), decimals)
    return low if low == high else f"{low} to {high}"


def bounds(value: float | None, low: float | None, high: float | None) -> str:
    """Return a value with its interval, e.g. "0.98 [0.97, 0.99]"."""
    return f"{number(value)} [{number(low)}, {number(high)}]"
