"""Carry a plan out: exactly what it shows, in one commit or pull request, or nothing at all."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from polyrefuse.errors import AnswerIsNo
from polyrefuse.hub.hub_errors import LOG_IN, PublishError, changed, hub_errors
from polyrefuse.hub.remote import Remote, hub_client, read_remote, resolve_token
from polyrefuse_builders.publish.local_files import is_published, read_local_files
from polyrefuse_builders.publish.plan import PublishPlan, plan_publish

if TYPE_CHECKING:
    from huggingface_hub import CommitInfo, HfApi

UNTOUCHED = {".gitattributes"}
"""What the Hub itself puts into a new repository."""


@dataclass(frozen=True)
class PublishOutcome:
    """What was done: paths uploaded and removed; `commit` and `pull_request` where there is one."""

    uploaded: list[str]
    removed: list[str]
    commit: str | None
    pull_request: str | None


def execute_publish(
    plan: PublishPlan, *, create_pr: bool = False, token: str | None = None
) -> PublishOutcome:
    """Publish what `plan` shows; make the repository and gate it first, so nothing lies open.

    The plan is made afresh and compared: if the folder or the repository changed, nothing is
    uploaded. Running it again, after an interruption too, uploads only what is not there yet.

    Raises:
        AnswerIsNo: the plan is refused, or the folder or repository changed since it was made.
        PublishError: no token, no permission, no network, or the upload is not what was planned.
    """
    token = resolve_token(token)
    if token is None:
        raise PublishError(f"{plan.repo}: there is no Hub token.", LOG_IN)
    fresh = plan_publish(
        Path(plan.folder), plan.repo, endpoint=plan.endpoint, token=token, gated=plan.gated
    )
    if fresh.refusals:
        raise AnswerIsNo(
            f"{plan.repo}: not published; reasons: {len(fresh.refusals)}; the first: "
            f"{fresh.refusals[0]}."
        )
    if not fresh.empty:
        require_unchanged(plan, fresh)
    api = hub_client(plan.endpoint, token)
    commit = fresh.remote_commit
    if not create_pr:
        commit = _prepare_repository(api, fresh, token)
    elif commit is None:
        raise PublishError(
            f"{plan.repo}: no such repository, so there is nothing to open a pull request on.",
            "Check the name, or publish without a pull request.",
        )
    if fresh.empty:
        return PublishOutcome([], [], commit, None)
    if create_pr and (opened := _open_pull_request(api, fresh, token)):
        return PublishOutcome([], [], None, opened)
    info = _commit(api, fresh, commit, token, create_pr=create_pr)
    _verify(api, fresh, info.oid)
    uploaded = [file.path for file in fresh.uploads]
    return PublishOutcome(uploaded, fresh.removed, info.oid, info.pr_url)


def require_unchanged(plan: PublishPlan, fresh: PublishPlan) -> None:
    """Raise `AnswerIsNo` unless the `fresh` plan does what `plan` shows.

    A repository that an interrupted run has made, and that holds nothing yet, counts as unchanged.
    """
    shown = {file.path: file.sha256 for file in plan.files}
    now = {file.path: file.sha256 for file in fresh.files}
    if shown != now:
        first = sorted(path for path, _ in shown.items() ^ now.items())[0]
        raise AnswerIsNo(
            f"{plan.folder}: {first} changed since the plan was made; nothing was uploaded.",
            "Run again without --yes, and look at the new plan.",
        )
    just_made = (
        plan.remote_commit is None
        and set(fresh.kept) <= UNTOUCHED
        and all(file.change == "added" for file in fresh.files)
    )
    if fresh.remote_commit != plan.remote_commit and not just_made:
        raise changed(plan.repo)


def _prepare_repository(api: "HfApi", plan: PublishPlan, token: str) -> str | None:
    """Make the repository if need be and gate it; return its commit."""
    commit = plan.remote_commit
    with hub_errors(plan.repo, token):
        if commit is None:
            api.create_repo(plan.repo, repo_type="dataset", exist_ok=True)
        if plan.remote_gated != plan.gated:
            api.update_repo_settings(plan.repo, gated=plan.gated, repo_type="dataset")
    if commit is not None:
        return commit
    made = read_remote(api, plan.repo)
    if not set(made.digests) <= UNTOUCHED:
        raise changed(plan.repo)
    return made.commit


def _commit(
    api: "HfApi", plan: PublishPlan, parent: str | None, token: str, *, create_pr: bool
) -> "CommitInfo":
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete

    planned = {file.path: file.sha256 for file in plan.uploads}
    files, _ = read_local_files(Path(plan.folder))
    operations: list[CommitOperationAdd | CommitOperationDelete] = []
    for file in files:
        if file.path in planned:
            if file.sha256 != planned[file.path]:
                raise AnswerIsNo(f"{plan.folder}: {file.path} is changing; nothing was uploaded.")
            operations.append(CommitOperationAdd(file.path, file.content))
    operations += [CommitOperationDelete(path) for path in plan.removed]
    with hub_errors(plan.repo, token):
        info: CommitInfo = api.create_commit(
            plan.repo,
            operations,
            commit_message=_title(plan),
            repo_type="dataset",
            parent_commit=parent,
            create_pr=create_pr,
        )
    return info


def _title(plan: PublishPlan) -> str:
    return f"Publish {plan.content_digest[:19]}"


def _open_pull_request(api: "HfApi", plan: PublishPlan, token: str) -> str | None:
    """Return the address of an open pull request that already brings exactly these files."""
    with hub_errors(plan.repo, token):
        opened = [
            discussion
            for discussion in api.get_repo_discussions(
                plan.repo, repo_type="dataset", discussion_type="pull_request"
            )
            if discussion.title == _title(plan) and discussion.status in ("open", "draft")
        ]
    for discussion in opened:
        there = read_remote(api, plan.repo, discussion.git_reference)
        if not _differing(plan, there):
            return f"{plan.endpoint}/datasets/{plan.repo}/discussions/{discussion.num}"
    return None


def _verify(api: "HfApi", plan: PublishPlan, commit: str) -> None:
    """Raise `PublishError` unless the Hub at `commit` holds exactly the planned files."""
    wrong = _differing(plan, read_remote(api, plan.repo, commit))
    if wrong:
        raise PublishError(
            f"{plan.repo}: after the upload {len(wrong)} files are not as planned; the first: "
            f"{wrong[0]}.",
            "A .gitignore in the repository may hide files; look at the commit.",
        )


def _differing(plan: PublishPlan, there: Remote) -> list[str]:
    """Return the published paths whose content in `there` is not that of the folder."""
    files, _ = read_local_files(Path(plan.folder))
    wrong = [
        file.path
        for file in files
        if there.digests.get(file.path) not in (file.git_oid, f"sha256:{file.sha256}")
    ]
    names = {file.path for file in files}
    return wrong + [path for path in there.digests if is_published(path) and path not in names]
