"""``polyrefuse leaderboard submit``: what goes where, in one place.

A submission is written to disk; a pull request is planned from exactly those files, and opened only
when `send` is called.
"""

from dataclasses import dataclass
from pathlib import Path

from polyrefuse.atomic import write_whole
from polyrefuse_evaluation.leaderboard.eval_results import (
    EVAL_RESULTS,
    render_eval_results,
    require_on_hub,
)
from polyrefuse_evaluation.leaderboard.pull_request import (
    PullRequestPlan,
    open_pull_request,
    plan_pull_request,
)
from polyrefuse_evaluation.leaderboard.schema import FILES
from polyrefuse_evaluation.leaderboard.submission import Submission
from polyrefuse_evaluation.run_directory import io_errors

RESULTS_FOLDER = "results"
"""Folder of the results repository that holds the submissions."""


@dataclass(frozen=True)
class Sent:
    """A planned pull request and its address; None where there was nothing to send."""

    plan: PullRequestPlan
    url: str | None


def plan_submission(
    submission: Submission, repo: str, *, endpoint: str | None = None, token: str | None = None
) -> PullRequestPlan:
    """Plan the pull request of a submission on the results repository `repo`.

    Raises:
        PublishError: the repository cannot be read.
    """
    folder = submission.path
    files = {
        f"{RESULTS_FOLDER}/{folder.name}/{name}": (folder / name).read_bytes() for name in FILES
    }
    digest = submission.result.labels_digest.removeprefix("sha256:")[:12]
    title = f"Submit {folder.name} ({digest})"
    return plan_pull_request(repo, files, title, endpoint=endpoint, token=token)


def write_eval_results(submission: Submission, out: Path, results_repo: str | None = None) -> Path:
    """Write ``.eval_results/polyrefuse.yaml`` under ``out/eval-results/<folder>`` and return it.

    Raises:
        SubmissionError: the model or the dataset is not on the Hub.
    """
    url = f"https://huggingface.co/datasets/{results_repo}" if results_repo else None
    text = render_eval_results(submission.result, url)
    target = out / "eval-results" / submission.path.name / EVAL_RESULTS
    with io_errors(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        write_whole(target, text)
    return target


def plan_eval_results(
    submission: Submission, path: Path, *, endpoint: str | None = None, token: str | None = None
) -> PullRequestPlan:
    """Plan the pull request of an eval results file on the model's own repository.

    Raises:
        SubmissionError: the model is not on the Hub.
        PublishError: its repository cannot be read.
    """
    require_on_hub(submission.result)
    digest = submission.result.labels_digest.removeprefix("sha256:")[:12]
    return plan_pull_request(
        submission.result.model.name,
        {EVAL_RESULTS: path.read_bytes()},
        f"PolyRefuse results ({digest})",
        repo_type="model",
        endpoint=endpoint,
        token=token,
    )


def send(plan: PullRequestPlan, token: str | None = None) -> Sent:
    """Open a planned pull request; running it again opens no second one.

    Raises:
        PublishError: no token, no permission, no network.
        AnswerIsNo: the repository changed since the plan was made.
    """
    return Sent(plan, open_pull_request(plan, token))
