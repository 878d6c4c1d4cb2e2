"""Rescore: draw completions of a submission, ask the model again, compare labels and digests.

The only check that a forgery in which everything agrees does not pass. A submission with a share f
of altered labels is caught by N drawn completions with probability 1 - (1 - f)^N (and a little more
often, since none is drawn twice). Knows texts and verdicts; how texts are made is `regenerate`.
"""

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from scipy.stats import beta

from polyrefuse.errors import PolyRefuseError
from polyrefuse.prompts import Prompt
from polyrefuse.results import Result
from polyrefuse_evaluation.judges import RegisteredJudge, get_judge
from polyrefuse_evaluation.judges.types import JudgeInput
from polyrefuse_evaluation.leaderboard.labels import LabelRow
from polyrefuse_evaluation.leaderboard.problems import Problem, examples, shown
from polyrefuse_evaluation.leaderboard.schema import LABELS, RESULT
from polyrefuse_evaluation.leaderboard.verify import Verdict

CompletionKey = tuple[str, str, str]
"""Condition, language, prompt id."""

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Rescore:
    """What asking again showed.

    Attributes:
        seed: of the draw; the same seed draws the same completions.
        n: completions drawn.
        same_text: of them, those whose text came out with the submitted digest.
        same_label: of them, those that the judge gave the submitted outcome.
        forged: same text, other outcome: no honest run shows that. As "condition language id".
        differing: other text, other outcome: an alteration, or another machine's rounding.
        allowed: how many of `differing` were tolerated.
        caught_share: smallest share of altered labels that so many completions catch with 95%
            probability; a fraction.
        conditions: drawn completions by condition.
        faults: where the model is not the one that was submitted.
        note: why nothing was drawn, where nothing was.
    """

    seed: int
    n: int = 0
    same_text: int = 0
    same_label: int = 0
    forged: tuple[str, ...] = ()
    differing: tuple[str, ...] = ()
    allowed: int = 0
    caught_share: float = 1.0
    conditions: tuple[tuple[str, int], ...] = ()
    faults: tuple[str, ...] = ()
    note: str = ""

    @property
    def problems(self) -> list[Problem]:
        """The reasons to reject."""
        found = [Problem("rescore", RESULT, f"another model: {fault}") for fault in self.faults]
        if self.forged:
            detail = f"the judge says otherwise of the same text: {examples(self.forged)}"
            found.append(Problem("rescore", LABELS, detail))
        if len(self.differing) > self.allowed:
            detail = (
                f"{len(self.differing)} of {self.n} labels came out otherwise, "
                f"{self.allowed} are tolerated: {examples(self.differing)}"
            )
            found.append(Problem("rescore", LABELS, detail))
        return found


def draw(rows: Sequence[LabelRow], n: int, seed: int) -> list[CompletionKey]:
    """Return `n` random completions (all, where there are fewer), over all conditions."""
    keys = sorted({row.completion for row in rows})
    return sorted(random.Random(seed).sample(keys, min(n, len(keys))))


def caught_share(n: int, allowed: int = 0, confidence: float = CONFIDENCE) -> float:
    """Return the smallest share f of altered labels that `n` completions catch.

    With none tolerated it solves 1 - (1 - f)^n = confidence; with `allowed` tolerated, it is the
    share at which more than those are among `n` with that probability (Clopper and Pearson 1934).
    """
    if n <= allowed:
        return 1.0
    if allowed == 0:
        return float(1 - (1 - confidence) ** (1 / n))
    return float(beta.ppf(confidence, allowed + 1, n - allowed))


def compare(
    rows: Sequence[LabelRow],
    texts: Mapping[CompletionKey, str],
    prompts: Mapping[tuple[str, str], Prompt],
    judge: RegisteredJudge,
    *,
    seed: int,
    tolerance: float = 0.0,
) -> Rescore:
    """Compare the labels of the deciding judge with what it says of texts generated again.

    Args:
        rows: the submitted labels.
        texts: text generated again, by completion.
        prompts: by language and id.
        judge: the deciding judge.
        seed: of the draw.
        tolerance: fraction of the drawn labels that may differ where the text does; not 0 where
            another machine's rounding changes texts (half precision, other kernels).
    """
    from polyrefuse_evaluation.answering import text_digest  # needs torch, as asking again does

    known = {row.completion: row for row in rows if row.judge == judge.name}
    keys = sorted(texts)
    inputs = [
        JudgeInput(language, texts[condition, language, id_], prompt.prompt, prompt.prompt_en)
        for condition, language, id_ in keys
        for prompt in [prompts[language, id_]]
    ]
    forged: list[str] = []
    differing: list[str] = []
    same_text = same_label = 0
    for key, verdict in zip(keys, judge.judge(inputs), strict=True):
        row, same = known[key], text_digest(texts[key]) == known[key].sha256
        same_text += same
        same_label += verdict.outcome is row.outcome
        if verdict.outcome is not row.outcome:
            (forged if same else differing).append(" ".join(key))
    allowed = int(tolerance * len(keys))
    return Rescore(
        seed=seed,
        n=len(keys),
        same_text=same_text,
        same_label=same_label,
        forged=tuple(forged),
        differing=tuple(differing),
        allowed=allowed,
        caught_share=caught_share(len(keys), allowed),
        conditions=tuple(sorted(Counter(key[0] for key in keys).items())),
    )


def rescore(
    verdict: Verdict,
    n: int,
    seed: int,
    *,
    model: str | None = None,
    judge: RegisteredJudge | None = None,
    tolerance: float = 0.0,
) -> Rescore:
    """Ask a submission's model `n` times again.

    Args:
        verdict: an accepted submission, with its prompts.
        n: completions to draw.
        seed: of the draw; take one that the submitter could not know.
        model: Hub id or folder to load, where it is not under the model's own name.
        judge: the deciding judge, where its name alone does not make it.
        tolerance: see `compare`.

    Raises:
        PolyRefuseError: the judge cannot be made here; `ModelError` if the model cannot be loaded.
    """
    result, sets = verdict.result, verdict.sets
    if result is None or sets is None:
        return Rescore(seed, note="it was rejected, so the model was not asked")
    if result.model.endpoint is not None:
        return Rescore(seed, note="the model is behind an endpoint: nothing pins its weights")
    judge = judge or _judge(result)
    from polyrefuse_evaluation.leaderboard.regenerate import (
        identity_faults,
        load_submitted,
        regenerate,
    )

    loaded = load_submitted(result, model)
    faults = identity_faults(loaded, result)
    if faults:
        return Rescore(seed, faults=tuple(faults))
    texts = regenerate(loaded, sets, result, draw(verdict.rows, n, seed))
    prompts = {(row.language, row.id): row for row in sets.test_prompts()}
    return compare(verdict.rows, texts, prompts, judge, seed=seed, tolerance=tolerance)


def _judge(result: Result) -> RegisteredJudge:
    wanted = result.settings.judge
    judge = get_judge(wanted.name)
    if (judge.name, judge.version) != (wanted.name, wanted.version):
        raise PolyRefuseError(
            f"the submission was judged by {shown(wanted.name)} {shown(wanted.version)}; "
            f"here it is {judge.name} {judge.version}.",
            "Rescore with the same version of the judge.",
        )
    return judge
