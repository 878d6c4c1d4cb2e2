"""Evidence on request, since it costs a service or a model: back-translation, embeddings, labels.

Each function measures rows and returns findings; `add_evidence` puts them into a report. A row is
suspect if its own English fits no better than the English of other rows: the null is measured for
every row, so no threshold depends on the language, the engine or the model.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from polyrefuse.prompts import Prompt, QualityCheck, Verdict
from polyrefuse_builders.translation import Engine, RetryPolicy, TranslationCache
from polyrefuse_builders.translation.engine import require_languages
from polyrefuse_builders.translation.event_loop import run_to_end
from polyrefuse_builders.translation.retrying import Requester
from polyrefuse_builders.translation.run import Run
from polyrefuse_builders.validation.finding import Finding, measured, suspect
from polyrefuse_builders.validation.report import (
    ORDER,
    RowReport,
    ValidationReport,
    language_figures,
)

Key = tuple[str, str]
"""(language, id) of a row."""

Evidence = Mapping[Key, Finding]
Encoder = Callable[[Sequence[str]], NDArray[Any]]
"""Texts -> sentence embeddings, one row each; in any language."""
HarmLabeller = Callable[[Sequence[str]], Sequence[bool | None]]
"""Prompts -> whether a guard model calls each harmful; None where it gave no verdict."""

OTHERS = 20
"""English prompts of other rows that a row is compared with: at most one in 21 good rows ties."""


def back_translate(
    prompts: Sequence[Prompt], engine: Engine, cache: TranslationCache
) -> dict[Key, str | None]:
    """Translate every row that is not English back to English; None where that failed.

    Resumes from `cache`, and pays for no text twice.

    Raises:
        EngineError: the engine cannot translate a language to English.
        CacheError: the cache cannot be used.
    """
    texts: dict[str, list[Prompt]] = defaultdict(list)
    for row in prompts:
        if row.language != "en":
            texts[row.language].append(row)
    found: dict[Key, str | None] = {}
    for language, rows in texts.items():
        require_languages(engine, language, ["en"])
        _run_back(rows, language, engine, cache)
        known = cache.known(engine.name, engine.revision, language, "en")
        for row in rows:
            entry = known.get(row.prompt)
            found[language, row.id] = entry.answer if entry else None
    return found


def _run_back(
    rows: Sequence[Prompt], language: str, engine: Engine, cache: TranslationCache
) -> None:
    run_to_end(lambda: _translate_back(rows, language, engine, cache))


async def _translate_back(
    rows: Sequence[Prompt], language: str, engine: Engine, cache: TranslationCache
) -> None:
    policy = RetryPolicy()
    requester = Requester(engine, policy, None, None)
    run = Run(engine, cache, requester, source=language, give_up_after=policy.give_up_after)
    run.plan([row.prompt for row in rows], ["en"], retry_failed=False)
    try:
        await run.work(engine.max_concurrency, lambda *_: None)
    finally:
        await engine.close()


def back_translation_evidence(
    prompts: Sequence[Prompt], back: Mapping[Key, str | None], *, seed: int = 0
) -> dict[Key, Finding]:
    """Compare each back-translation with the row's English by chrF (Popović 2015, sacrebleu).

    Score: chrF in [0, 100]. Catches translations of another text, and lost meaning that survives
    the way back. Misses: softening that the engine undoes. Wrong where the engine itself fails.
    """
    from sacrebleu.metrics.chrf import CHRF

    chrf = CHRF()
    english = _english(prompts)
    rng = np.random.default_rng(seed)
    evidence: dict[Key, Finding] = {}
    for row in prompts:
        key = (row.language, row.id)
        if key not in back:
            continue
        text = back[key]
        if not text:
            evidence[key] = suspect("could not be translated back to English")
            continue
        own = chrf.sentence_score(text, [row.prompt_en]).score
        null = [chrf.sentence_score(text, [x]).score for x in _others(english, row, rng)]
        evidence[key] = _against_null(own, null, "back-translation")
    return evidence


def embedding_evidence(
    prompts: Sequence[Prompt], encode: Encoder, *, seed: int = 0
) -> dict[Key, Finding]:
    """Compare each row with its English by the cosine of sentence embeddings.

    Score: cosine in [-1, 1]. Catches translations of another text. Misses: small changes of
    meaning, and languages that the encoder does not know.
    """
    english = _english(prompts)
    rows = [row for row in prompts if row.language != "en"]
    of_english = dict(zip(english, _unit(encode(english)), strict=True))
    of_rows = _unit(encode([row.prompt for row in rows]))
    rng = np.random.default_rng(seed)
    evidence: dict[Key, Finding] = {}
    for row, vector in zip(rows, of_rows, strict=True):
        null = [float(vector @ of_english[text]) for text in _others(english, row, rng)]
        own = float(vector @ of_english[row.prompt_en])
        evidence[row.language, row.id] = _against_null(own, null, "embedding")
    return evidence


def harm_label_evidence(prompts: Sequence[Prompt], is_harmful: HarmLabeller) -> dict[Key, Finding]:
    """Find harmful rows that a guard model calls harmful in English and harmless in translation.

    Score: 1 where the label changed, 0 where it did not; no finding without both labels. Catches
    softening. Misses: what the guard model misses in English too.
    """
    rows = [row for row in prompts if row.label == "harmful" and row.language != "en"]
    english = sorted({row.prompt_en for row in rows})
    before = dict(zip(english, is_harmful(english), strict=True))
    after = is_harmful([row.prompt for row in rows])
    evidence: dict[Key, Finding] = {}
    for row, label in zip(rows, after, strict=True):
        if before[row.prompt_en] and label is not None:
            changed = suspect("the guard model calls the English harmful and this harmless", 1.0)
            evidence[row.language, row.id] = measured(0.0) if label else changed
    return evidence


def add_evidence(report: ValidationReport, check: str, evidence: Evidence) -> ValidationReport:
    """Return the report with one more check in its rows, verdicts and figures."""
    rows = [_with(row, check, evidence.get((row.language, row.id))) for row in report.rows]
    figures = [
        language_figures(
            old.language, [row for row in rows if row.language == old.language], old.prompts
        )
        for old in report.languages
    ]
    return ValidationReport(figures, rows)


def _with(row: RowReport, check: str, finding: Finding | None) -> RowReport:
    if finding is None:
        return row
    score = None if finding.score is None else round(finding.score, 4)
    qa = [*row.qa, QualityCheck(check=check, score=score, verdict=finding.verdict)]
    if finding.verdict == Verdict.OK:
        return replace(row, qa=qa)
    verdict = max(row.verdict, finding.verdict, key=ORDER.index)
    return replace(
        row, qa=qa, verdict=verdict, reasons=[*row.reasons, f"{check}: {finding.reason}"]
    )


def _english(prompts: Sequence[Prompt]) -> list[str]:
    return sorted({row.prompt_en for row in prompts})


def _others(english: Sequence[str], row: Prompt, rng: np.random.Generator) -> list[str]:
    picks = rng.choice(len(english), size=min(OTHERS + 1, len(english)), replace=False)
    return [english[pick] for pick in picks if english[pick] != row.prompt_en][:OTHERS]


def _unit(vectors: NDArray[Any]) -> NDArray[np.float64]:
    wide = np.asarray(vectors, dtype=np.float64)
    unit: NDArray[np.float64] = wide / np.linalg.norm(wide, axis=1, keepdims=True)
    return unit


def _against_null(own: float, null: Sequence[float], what: str) -> Finding:
    if null and own <= max(null):
        return suspect(f"the {what} fits another row's English as well as its own", own)
    return measured(own)
