"""Open a pull request on the Hub with exactly the files that were announced, once.

First the plan, which sends nothing and can be shown; then the commit; then a look at what is there.
Running it again after an interruption finds the pull request that the first run opened.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from polyrefuse.errors import AnswerIsNo
from polyrefuse.hub.hub_errors import LOG_IN, PublishError, hub_errors, require_repo_id
from polyrefuse.hub.remote import Remote, RepoType, hub_client, read_remote, resolve_token
from polyrefuse_evaluation.leaderboard.problems import shown

if TYPE_CHECKING:
    from huggingface_hub import HfApi

MARKS = {"added": "+", "changed": "~", "unchanged": "="}
OPEN = ("open", "draft")


@dataclass(frozen=True)
class AnnouncedFile:
    """One file of a pull request: path in the repository, content, and what it changes there."""

    path: str
    content: bytes
    change: Literal["added", "changed", "unchanged"]

    @property
    def sha256(self) -> str:
        """Digest of the content."""
        return f"sha256:{hashlib.sha256(self.content).hexdigest()}"


@dataclass(frozen=True)
class PullRequestPlan:
    """What would be sent, and where to; `commit` is the state it was planned against."""

    repo: str
    repo_type: RepoType
    endpoint: str
    title: str
    files: tuple[AnnouncedFile, ...]
    commit: str

    @property
    def empty(self) -> bool:
        """Whether the repository holds exactly these files already."""
        return all(file.change == "unchanged" for file in self.files)

    def describe(self) -> str:
        """Return the plan as lines of plain text."""
        lines = [
            f"Pull request on {self.endpoint}/{_prefix(self.repo_type)}{self.repo}: {self.title}",
            *(
                f"  {MARKS[f.change]} {f.path}  {len(f.content)} bytes  {f.sha256}"
                for f in self.files
            ),
        ]
        if self.empty:
            lines.append("Nothing to send: the repository holds exactly these files.")
        return "\n".join(shown(line, 400) for line in lines)


def plan_pull_request(
    repo: str,
    files: Mapping[str, bytes],
    title: str,
    *,
    repo_type: RepoType = "dataset",
    endpoint: str | None = None,
    token: str | None = None,
) -> PullRequestPlan:
    """Compare `files` (path to content) with a repository; sends nothing of them.

    Args:
        repo: Hub id, ``organisation/name``.
        files: what the pull request brings.
        title: of the pull request; the same files must always get the same.
        repo_type: dataset or model.
        endpoint: address of the Hub; HF_ENDPOINT by default.
        token: Hub token; that of the environment or of ``hf auth login`` by default.

    Raises:
        PublishError: the id is invalid, there is no such repository, or it cannot be read.
        AnswerIsNo: a file holds the token.
    """
    require_repo_id(repo)
    token = resolve_token(token)
    for path, content in files.items():
        if token and token.encode() in content:
            raise AnswerIsNo(f"{shown(path)}: holds your Hub token; nothing was sent.")
    api = hub_client(endpoint, token)
    there = read_remote(api, repo, repo_type=repo_type)
    if there.commit is None:
        raise PublishError(
            f"{repo}: no such {repo_type} repository, or the token may not see it.",
            "Check the name and 'hf auth login'.",
        )
    announced = tuple(_announce(path, content, there) for path, content in sorted(files.items()))
    return PullRequestPlan(repo, repo_type, api.endpoint, title, announced, there.commit)


def open_pull_request(plan: PullRequestPlan, token: str | None = None) -> str | None:
    """Open the planned pull request and return its address; None where there is nothing to send.

    An open pull request with the same title that brings exactly these files is not opened twice.

    Raises:
        PublishError: no token, no permission, no network, or what arrived is not what was planned.
        AnswerIsNo: the repository changed since the plan was made.
    """
    from huggingface_hub import CommitOperationAdd

    if plan.empty:
        return None
    token = resolve_token(token)
    if token is None:
        raise PublishError(f"{plan.repo}: there is no Hub token.", LOG_IN)
    api = hub_client(plan.endpoint, token)
    opened = _already_open(api, plan, token)
    if opened is not None:
        return opened
    before = read_remote(api, plan.repo, plan.commit, plan.repo_type)
    with hub_errors(plan.repo, token):
        info = api.create_commit(
            plan.repo,
            [CommitOperationAdd(file.path, file.content) for file in plan.files],
            commit_message=plan.title,
            repo_type=plan.repo_type,
            parent_commit=plan.commit,
            create_pr=True,
        )
    wrong = _differing(plan, before, read_remote(api, plan.repo, info.oid, plan.repo_type))
    if wrong:
        raise PublishError(
            f"{plan.repo}: the pull request does not bring exactly what was announced; the first "
            f"difference: {shown(wrong[0])}.",
            f"Look at it, and close it: {info.pr_url}",
        )
    return str(info.pr_url)


def _announce(path: str, content: bytes, there: Remote) -> AnnouncedFile:
    known = there.digests.get(path)
    if known is None:
        return AnnouncedFile(path, content, "added")
    same = known in _digests(content)
    return AnnouncedFile(path, content, "unchanged" if same else "changed")


def _digests(content: bytes) -> tuple[str, str]:
    """Return how the Hub names this content: as a git blob, and as an LFS file."""
    blob = hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False)
    return blob.hexdigest(), f"sha256:{hashlib.sha256(content).hexdigest()}"


def _already_open(api: "HfApi", plan: PullRequestPlan, token: str) -> str | None:
    with hub_errors(plan.repo, token):
        listed = [
            discussion
            for discussion in api.get_repo_discussions(
                plan.repo, repo_type=plan.repo_type, discussion_type="pull_request"
            )
            if discussion.title == plan.title and discussion.status in OPEN
        ]
    for discussion in listed:
        there = read_remote(api, plan.repo, discussion.git_reference, plan.repo_type)
        if all(there.digests.get(f.path) in _digests(f.content) for f in plan.files):
            prefix = _prefix(plan.repo_type)
            return f"{plan.endpoint}/{prefix}{plan.repo}/discussions/{discussion.num}"
    return None


def _differing(plan: PullRequestPlan, before: Remote, after: Remote) -> list[str]:
    """Return the paths in which `after` is not `before` with the planned files."""
    planned = {file.path: _digests(file.content) for file in plan.files}
    return [
        path
        for path in sorted(before.digests.keys() | after.digests.keys() | planned.keys())
        if after.digests.get(path) not in planned.get(path, (before.digests.get(path),))
    ]


def _prefix(repo_type: RepoType) -> str:
    return "datasets/" if repo_type == "dataset" else ""
