"""From a run directory to a submission: labels, digests, and nothing that is not public.

Completions, vectors and paths of this machine stay where they are. What is written is checked as a
stranger would check it, before the function returns.
"""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from polyrefuse.atomic import whole_folder
from polyrefuse.calibration_schema import Calibration
from polyrefuse.errors import AnswerIsNo
from polyrefuse.results import DatasetRecord, DirectionRecord, ModelRecord, Result, read_result
from polyrefuse_evaluation.leaderboard.labels import STRINGS, LabelRow, write_labels
from polyrefuse_evaluation.leaderboard.names import folder_name, is_planted, is_public_name
from polyrefuse_evaluation.leaderboard.problems import SubmissionError, shown
from polyrefuse_evaluation.leaderboard.schema import (
    LABELS,
    MANIFEST,
    RESULT,
    Manifest,
    file_record,
)
from polyrefuse_evaluation.leaderboard.sources import SAMPLE_SOURCE, Source
from polyrefuse_evaluation.run_directory import (
    COMPLETIONS,
    JUDGEMENTS,
    CompletionRecord,
    JudgementRecord,
    RunDirectory,
    io_errors,
)

NO_TEXT = "\u25a1"
"""Stands for a character of a token that is no letter, mark, digit or plain punctuation."""


@dataclass(frozen=True)
class PublicNames:
    """What a result may say in public where the run only knows a path of this machine.

    Attributes:
        model: public name of the model; needed where the run names a folder.
        dataset: public name of the dataset, ``organisation/name``; needed for a folder's.
        dataset_revision: its commit or tag there.
        licence: licence of the model, as its card names it.
        family: family of the model, e.g. ``Llama 3``.
    """

    model: str | None = None
    dataset: str | None = None
    dataset_revision: str | None = None
    licence: str | None = None
    family: str | None = None


@dataclass(frozen=True)
class Submission:
    """A submission on disk: its folder, and what it holds."""

    path: Path
    manifest: Manifest
    result: Result
    rows: list[LabelRow]


def make_submission(run_dir: Path, out: Path, names: PublicNames | None = None) -> Submission:
    """Write the submission of a finished run to a folder of its own under `out`.

    Making it again writes the same bytes. Nothing is sent anywhere.

    Args:
        run_dir: a run directory with a result.
        out: folder of submissions.
        names: public names, where the run has none.

    Raises:
        SubmissionError: a name is missing or not public, or the records are incomplete.
        AnswerIsNo: the run is unfinished, or its own figures do not follow from its records.
        DatasetError: the run has no result.
    """
    names = names or PublicNames()
    private = read_result(run_dir / "result.json")
    if private.failed:
        raise AnswerIsNo(
            f"{run_dir}: {private.failed} verdicts are missing: a judge could not be asked.",
            "Run 'polyrefuse evaluate' again with the same settings; it asks for those only.",
        )
    result = public_result(private, names)
    rows = run_labels(run_dir, private)
    return write_submission(out, result, rows, names)


def write_submission(
    out: Path, result: Result, rows: Sequence[LabelRow], names: PublicNames | None = None
) -> Submission:
    """Write result and labels as a submission under `out`, and verify it.

    Args:
        out: folder of submissions.
        result: a result that is public in all it says.
        rows: its labels.
        names: licence and family of the model.

    Raises:
        AnswerIsNo: it would be rejected; says why.
        RunDirectoryError: it cannot be written.
    """
    from polyrefuse_evaluation.leaderboard.verify import verify_files

    names = names or PublicNames()
    contents = {
        RESULT: (result.model_dump_json(indent=1) + "\n").encode(),
        LABELS: write_labels(rows),
    }
    manifest = Manifest(
        model=result.model.name,
        revision=result.model.revision,
        weights_digest=result.model.weights_digest,
        rows=len(rows),
        files={name: file_record(content) for name, content in contents.items()},
        licence=names.licence,
        family=names.family,
        self_test=is_planted(result.model.name),
    )
    contents[MANIFEST] = (manifest.model_dump_json(indent=1) + "\n").encode()
    folder = out / submission_folder(result)
    # The dataset is not asked for: whoever submits may have had it as a folder only.
    verdict = verify_files(folder.name, contents, sources=None)
    if not verdict.accepted:
        raise AnswerIsNo(
            f"{shown(result.model.name)}: the submission would be rejected: "
            f"{'; '.join(map(str, verdict.problems[:3]))}."
        )
    _write(folder, contents)
    return Submission(folder, manifest, result, list(rows))


def submission_folder(result: Result) -> str:
    """Return the name of the folder that a result is submitted in."""
    model = result.model
    return folder_name(model.name, model.revision, model.weights_digest or result.labels_digest)


def public_result(result: Result, names: PublicNames) -> Result:
    """Return the result without anything that is only of this machine.

    Raises:
        SubmissionError: the model or dataset has no public name and none is given.
    """
    return result.model_copy(
        update={
            "model": _public_model(result.model, names),
            "dataset": _public_dataset(result.dataset, names),
            "directions": [_public_direction(item) for item in result.directions],
            "calibrations": [_public_calibration(item) for item in result.calibrations],
        }
    )


def _public_model(model: ModelRecord, names: PublicNames) -> ModelRecord:
    if model.planted_variant is not None:
        if names.model is not None:
            raise SubmissionError(
                "the planted model is submitted under its own name, as a self-test.",
                "Leave --name out.",
            )
        return model
    named = model.name if names.model is None else names.model
    # A folder may look like a Hub id ("runs/model"); only a Hub model has a commit.
    local = names.model is None and model.revision is None and model.endpoint is None
    if local or not is_public_name(named) or is_planted(named):
        raise SubmissionError(
            "the model was a folder of this machine, or its name is not public."
            if names.model is None
            else f"--name {shown(named, 60)!r} is no public name.",
            "Give it one with --name, like 'organisation/model'.",
        )
    return model.model_copy(update={"name": named})


def _public_dataset(dataset: DatasetRecord, names: PublicNames) -> DatasetRecord:
    named = names.dataset or dataset.name
    revision = names.dataset_revision or dataset.revision
    if named == SAMPLE_SOURCE.name:
        return dataset.model_copy(update={"name": named, "revision": None})
    if not is_public_name(named) or "/" not in named or revision is None:
        raise SubmissionError(
            "the dataset was a folder of this machine, or its name or revision is not public.",
            "Say where others find it: --dataset-name organisation/dataset --dataset-revision "
            "COMMIT.",
        )
    Source(named, revision)  # raises where it could not be found again
    return dataset.model_copy(update={"name": named, "revision": revision})


def _public_direction(direction: DirectionRecord) -> DirectionRecord:
    texts = [public_token(text) for text in direction.refusal_token_texts]
    return direction.model_copy(update={"refusal_token_texts": texts})


def public_token(text: str) -> str:
    """Return a token's text with everything but letters, marks, digits and spaces replaced."""
    kept = [
        c if unicodedata.category(c)[0] in "LMN" or c in " '.\u2019" else NO_TEXT for c in text[:40]
    ]
    return "".join(kept)


def _public_calibration(calibration: Calibration) -> Calibration:
    files = [f"reference-{number + 1}" for number in range(len(calibration.reference.files))]
    reference = calibration.reference.model_copy(update={"files": files})
    return calibration.model_copy(update={"reference": reference})


def run_labels(run_dir: Path, result: Result) -> list[LabelRow]:
    """Return the labels of a run: by judge, condition, language, label and prompt id.

    Raises:
        SubmissionError: a verdict is on a completion that the run does not have.
    """
    run = RunDirectory(run_dir)
    digests = {
        (row.condition, row.language, row.id): row.sha256
        for row in run.scan(COMPLETIONS, CompletionRecord)
    }
    judges = {judge.name: at for at, judge in enumerate(result.settings.judges)}
    conditions = {name: at for at, name in enumerate(result.conditions)}
    languages = {code: at for at, code in enumerate(result.settings.languages)}
    rows = [_label(run_dir, row, digests) for row in run.scan(JUDGEMENTS, JudgementRecord)]
    known = [row for row in rows if row.judge in judges and row.condition in conditions]
    if len(known) < len(rows):
        raise SubmissionError(
            f"{run_dir}: has records of judges or conditions that its result does not name.",
            "Run 'polyrefuse evaluate' again with the same settings and run directory.",
        )

    def place(row: LabelRow) -> tuple[int, int, int, bool, str]:
        at = languages.get(row.language, len(languages))
        return judges[row.judge], conditions[row.condition], at, row.label == "harmless", row.id

    return sorted(known, key=place)


def _label(
    run_dir: Path, row: JudgementRecord, digests: dict[tuple[str, str, str], str]
) -> LabelRow:
    key = row.condition, row.language, row.id
    if key not in digests:
        raise SubmissionError(
            f"{run_dir}: a verdict has no completion (language {row.language}, id {row.id}).",
            "Run 'polyrefuse evaluate' again with the same settings and run directory.",
        )
    return LabelRow(
        id=row.id,
        language=row.language,
        condition=row.condition,
        label=row.label,
        outcome=row.outcome,
        judge=row.judge,
        score=row.score,
        response_language=row.response_language,
        reason=public_reason(row.reason),
        reasoning=row.reasoning,
        sha256=digests[key],
    )


def public_reason(reason: str) -> str:
    """Return a verdict's reason with characters that no reason needs replaced by ``_``."""
    if STRINGS["reason"].fullmatch(reason):
        return reason
    plain = "".join(c if c.isascii() and (c.isalnum() or c in " ._,:;=/-") else "_" for c in reason)
    return plain.lstrip(" ._,:;=/-")[:200]


def _write(folder: Path, contents: dict[str, bytes]) -> None:
    """Write the folder whole: files of an earlier, interrupted try do not stay."""
    with io_errors(folder), whole_folder(folder) as fresh:
        for name, content in contents.items():
            (fresh / name).write_bytes(content)
