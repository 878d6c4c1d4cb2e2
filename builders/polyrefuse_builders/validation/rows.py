"""Run every check on one language, and turn what they found into a verdict per row."""

from collections.abc import Sequence
from dataclasses import replace

from polyrefuse.prompts import Prompt, QualityCheck, Verdict
from polyrefuse_builders.validation.corpus import Corpus
from polyrefuse_builders.validation.finding import Finding
from polyrefuse_builders.validation.options import ValidationOptions
from polyrefuse_builders.validation.registry import CHECKS, ENGLISH_CHECKS
from polyrefuse_builders.validation.report import ORDER, RowReport


def check_corpus(corpus: Corpus, options: ValidationOptions) -> list[RowReport]:
    """Run every check on one language."""
    corpus = replace(corpus)  # what is learned of it goes when its checks are done
    found: list[list[tuple[str, Finding]]] = [[] for _ in corpus.rows]
    for name, check in CHECKS.items():
        if name in options.disable or (corpus.code == "en" and name not in ENGLISH_CHECKS):
            continue
        for row, finding in check(corpus).items():
            found[row].append((name, finding))
    return [_row_report(row, own) for row, own in zip(corpus.rows, found, strict=True)]


def _row_report(row: Prompt, found: Sequence[tuple[str, Finding]]) -> RowReport:
    qa = [
        QualityCheck(check=name, score=_rounded(finding.score), verdict=finding.verdict)
        for name, finding in found
    ]
    bad = [(name, finding) for name, finding in found if finding.verdict != Verdict.OK]
    bad.sort(key=lambda item: -ORDER.index(item[1].verdict))
    verdict = bad[0][1].verdict if bad else Verdict.OK
    reasons = [f"{name}: {finding.reason}" for name, finding in bad]
    return RowReport(row.language, row.id, verdict, reasons, qa)


def _rounded(score: float | None) -> float | None:
    return None if score is None else round(score, 4)
