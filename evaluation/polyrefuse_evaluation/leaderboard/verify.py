"""Verify submissions: from three untrusted files to accepted, or to every reason why not.

Needs no torch and runs nothing that a submission brings. What it cannot see is a forgery in which
labels, digests and figures all agree: that takes the model (`rescore`).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path

from polyrefuse.errors import PolyRefuseError
from polyrefuse.results import Result
from polyrefuse_evaluation.leaderboard.check_judges import judge_problems
from polyrefuse_evaluation.leaderboard.check_labels import label_problems
from polyrefuse_evaluation.leaderboard.check_prompts import find_prompts, prompt_problems
from polyrefuse_evaluation.leaderboard.check_records import oversized, record_problems
from polyrefuse_evaluation.leaderboard.check_text import text_problems
from polyrefuse_evaluation.leaderboard.duplicates import Entry, duplicate_problems
from polyrefuse_evaluation.leaderboard.labels import LabelRow, read_labels
from polyrefuse_evaluation.leaderboard.problems import Problem, cap, shown
from polyrefuse_evaluation.leaderboard.reading import parse, read_folder, too_large
from polyrefuse_evaluation.leaderboard.recompute import figure_problems
from polyrefuse_evaluation.leaderboard.schema import (
    FILES,
    LABELS,
    LARGEST,
    MANIFEST,
    RESULT,
    Manifest,
    file_record,
)
from polyrefuse_evaluation.leaderboard.sources import SAMPLE_SOURCE, Source
from polyrefuse_evaluation.progress import progress_bar
from polyrefuse_evaluation.prompt_sets import PromptSets


@dataclass(frozen=True)
class Verdict:
    """What verification found.

    Attributes:
        where: the submission's folder, as it was named.
        problems: every reason to reject; none where it is accepted.
        manifest: what is submitted, where the manifest can be read.
        result: the result, where it can be read.
        rows: the labels, where they can be read.
        sets: the prompts that it is of, where the dataset is known.
    """

    where: str
    problems: list[Problem]
    manifest: Manifest | None = None
    result: Result | None = None
    rows: list[LabelRow] = field(default_factory=list, repr=False)
    sets: PromptSets | None = field(default=None, repr=False)

    @property
    def accepted(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems

    @property
    def model(self) -> str:
        """The model's name, safe to show; the folder's where there is none."""
        name = self.manifest.model if self.manifest else Path(self.where).name
        return shown(name, 100)


HEAVY = ("cells", "differences", "comparisons", "findings", "second_opinions", "agreement")
"""Fields of a result that `outline` empties."""


def whole(verdict: Verdict) -> Verdict:
    """Keep everything of a verdict: its labels and prompts take megabytes."""
    return verdict


def outline(verdict: Verdict) -> Verdict:
    """Keep what a summary shows of a verdict: problems, manifest, settings, averages."""
    result = verdict.result
    if result is not None:
        result = result.model_copy(update={name: [] for name in HEAVY})
    return replace(verdict, result=result, rows=[], sets=None)


def verify(
    paths: Sequence[Path],
    sources: Sequence[Source] = (SAMPLE_SOURCE,),
    keep: Callable[[Verdict], Verdict] = whole,
) -> list[Verdict]:
    """Verify the submissions that `paths` name, each by itself and beside the others.

    Args:
        paths: submissions (a folder, or one of its files), or folders of submissions.
        sources: the pinned datasets.
        keep: what to keep of each verdict; `outline` lets thousands fit into memory. It is called
            before submissions are compared with each other.

    Raises:
        PolyRefuseError: a path does not exist, or holds no submission.
    """
    verdicts: list[Verdict] = []

    def entries() -> Iterator[Entry]:
        folders = find_submissions(paths)
        with (
            progress_bar("Verifying", len(folders)) if folders[1:] else nullcontext(int) as advance
        ):
            for folder in folders:
                verdict = verify_folder(folder, sources)
                verdicts.append(keep(verdict))
                if verdict.result is not None and verdict.rows:
                    yield verdict.where, verdict.result, verdict.rows
                advance(1)

    doubled = duplicate_problems(entries())
    return [replace(x, problems=cap([*x.problems, *doubled.get(x.where, [])])) for x in verdicts]


def verify_folder(folder: Path, sources: Sequence[Source]) -> Verdict:
    """Verify one submission by itself; one that cannot be read is rejected, too."""
    try:
        contents, problems = read_folder(folder)
    except OSError as error:
        unreadable = Problem("file", folder.name, f"cannot be read ({error.strerror or error})")
        return Verdict(str(folder), [unreadable])
    verdict = verify_files(folder.name, contents, sources)
    seen = {(problem.kind, problem.where) for problem in problems}
    more = [x for x in verdict.problems if (x.kind, x.where) not in seen]
    return replace(verdict, where=str(folder), problems=[*problems, *more])


def find_submissions(paths: Sequence[Path]) -> list[Path]:
    """Return the folders of the submissions that `paths` name, each once.

    A folder without any of a submission's files is a folder of submissions: those of its
    subfolders that hold one.

    Raises:
        PolyRefuseError: a path does not exist, or holds no submission.
    """
    found: list[Path] = []
    for path in paths:
        folder = path.parent if path.name in FILES and not path.is_dir() else path
        if not folder.exists() and not folder.is_symlink():
            raise PolyRefuseError(
                f"{path}: no such file or folder.", "Name a submission, or a folder of them."
            )
        if not folder.is_dir():
            raise PolyRefuseError(f"{path}: is no submission.", "Name the submission's folder.")
        inside = [folder] if _looks_like_one(folder) else sorted(folder.iterdir())
        here = [item for item in inside if item.is_dir() and _looks_like_one(item)]
        if not here:
            raise PolyRefuseError(
                f"{path}: holds no submission ({', '.join(FILES)}).",
                "Make one with 'polyrefuse leaderboard submit'.",
            )
        found += here
    return list(dict.fromkeys(found))


def _looks_like_one(folder: Path) -> bool:
    if folder.name.startswith("."):
        return False
    try:
        return any((folder / name).is_file() or (folder / name).is_symlink() for name in FILES)
    except OSError:  # not for us to look into: reading it says so, and the others go on
        return True


def verify_files(
    folder: str, contents: Mapping[str, bytes], sources: Sequence[Source] | None
) -> Verdict:
    """Verify one submission by the contents of its files; see `verify`.

    Args:
        folder: name of its folder.
        contents: content of each file by name.
        sources: the pinned datasets; None leaves prompts unchecked.
    """
    problems = [Problem("file", name, "is missing") for name in FILES if name not in contents]
    problems += [
        too_large(name, len(contents[name]))
        for name in contents
        if len(contents[name]) > LARGEST.get(name, 0)
    ]
    if problems:
        return Verdict(folder, problems)
    manifest, faults = parse(MANIFEST, contents[MANIFEST], Manifest)
    result, more = parse(RESULT, contents[RESULT], Result)
    rows, wrong = read_labels(contents[LABELS])
    problems = [*faults, *more, *wrong]
    if manifest is not None:
        problems += [*text_problems(MANIFEST, manifest), *_digests(manifest, contents, len(rows))]
    if result is None:
        return Verdict(folder, cap(problems), manifest, None, rows)
    problems += text_problems(RESULT, result)
    if manifest is not None:
        problems += record_problems(folder, manifest, result)
    too_much = oversized(result, rows)
    problems += too_much
    if too_much or not rows:
        return Verdict(folder, cap(problems), manifest, result, rows)
    found, sets = _evidence(result, rows, sources)
    return Verdict(folder, cap([*problems, *found]), manifest, result, rows, sets)


def _digests(manifest: Manifest, contents: Mapping[str, bytes], rows: int) -> list[Problem]:
    problems = [
        Problem("digest", name, "is not the file that the manifest names")
        for name in (RESULT, LABELS)
        if manifest.files.get(name) != file_record(contents[name])
    ]
    if rows and manifest.rows != rows:
        detail = f"is {manifest.rows}; the labels have {rows}"
        problems.append(Problem("labels", f"{MANIFEST}: rows", detail))
    return problems


def _evidence(
    result: Result, rows: Sequence[LabelRow], sources: Sequence[Source] | None
) -> tuple[list[Problem], PromptSets | None]:
    """Return what is wrong with labels, prompts, judges and figures, and the prompts."""
    judges = judge_problems(result)
    problems = [*label_problems(rows, result), *judges]
    sets = None
    if sources is not None:
        sets, unknown = find_prompts(result, sources)
        problems += unknown
        if sets is not None:
            problems += prompt_problems(rows, result, sets)
    if result.failed:
        problems.append(Problem("labels", RESULT, "is unfinished: it has failed verdicts"))
    problems += figure_problems(rows, result, sets, correct=not judges)
    return problems, sets
