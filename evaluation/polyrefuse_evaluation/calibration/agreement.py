"""How far judges agree on the same responses: kappa per language, and every disagreement."""

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations

from polyrefuse.calibration_schema import ALL_LANGUAGES, Estimate, JudgeAgreement
from polyrefuse.outcomes import Outcome
from polyrefuse_evaluation.calibration.readings import says
from polyrefuse_evaluation.judged import Judged
from polyrefuse_evaluation.statistics.kappa import cohen_kappa

Key = tuple[str, str, str]
Pair = tuple[Key, Outcome, Outcome]


@dataclass(frozen=True)
class Disagreement:
    """One response on which two judges differ."""

    condition: str
    language: str
    id: str
    judges: tuple[str, str]
    outcomes: tuple[Outcome, Outcome]


def judge_agreement(rows: Iterable[Judged]) -> list[JudgeAgreement]:
    """Return the agreement of every pair of judges, by language and over all (first).

    Responses on which either has no verdict are counted as unparsed and left out. Pairs without a
    common response are left out.
    """
    rows = list(rows)
    if len({row.judge for row in rows}) < 2:
        return []
    verdicts = _by_judge(rows)
    found = []
    for judges in combinations(verdicts, 2):
        pairs = _pairs(verdicts, judges)
        languages = sorted({key[1] for key, _, _ in pairs})
        for language in [ALL_LANGUAGES, *languages] if pairs else []:
            wanted = [x for x in pairs if language in (ALL_LANGUAGES, x[0][1])]
            found.append(_agreement(judges, language, wanted))
    return found


def find_disagreements(rows: Iterable[Judged]) -> list[Disagreement]:
    """Return every response on which two judges differ, also where one has no verdict."""
    verdicts = _by_judge(rows)
    return [
        Disagreement(key[0], key[1], key[2], judges, (one, other))
        for judges in combinations(verdicts, 2)
        for key, one, other in _pairs(verdicts, judges)
        if one is not other
    ]


def kappa_of(pairs: Iterable[tuple[Hashable, Hashable]]) -> Estimate:
    """Return Cohen's kappa; None where there are no pairs or one class only."""
    answers = list(pairs)
    if not answers:
        return Estimate(value=None, low=None, high=None, n=0)
    found = cohen_kappa(answers)
    return Estimate(value=found.value, low=found.low, high=found.high, n=found.n)


def _by_judge(rows: Iterable[Judged]) -> dict[str, dict[Key, Outcome]]:
    verdicts: dict[str, dict[Key, Outcome]] = {}
    for row in rows:
        verdicts.setdefault(row.judge, {})[row.condition, row.language, row.id] = row.outcome
    return verdicts


def _pairs(verdicts: dict[str, dict[Key, Outcome]], judges: tuple[str, str]) -> list[Pair]:
    one, other = (verdicts[name] for name in judges)
    return [(key, one[key], other[key]) for key in one if key in other]


def _agreement(judges: tuple[str, str], language: str, pairs: Sequence[Pair]) -> JudgeAgreement:
    parsed = [(a, b) for _, a, b in pairs if Outcome.UNPARSED not in (a, b)]

    def kappa(reduce: Callable[[Outcome], Hashable]) -> Estimate:
        return kappa_of((reduce(a), reduce(b)) for a, b in parsed)

    return JudgeAgreement(
        judges=judges,
        language=language,
        n=len(parsed),
        unparsed=len(pairs) - len(parsed),
        disagreements=sum(a is not b for a, b in parsed),
        kappa_outcomes=kappa(lambda outcome: outcome),
        kappa_refused=kappa(lambda outcome: says("refused", outcome)),
        kappa_withheld=kappa(lambda outcome: says("refused+deflected", outcome)),
    )
