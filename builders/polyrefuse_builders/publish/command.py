"""``polyrefuse build publish``: a dry run by default; ``--yes`` does what the dry run showed."""

from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from polyrefuse.atomic import write_whole
from polyrefuse.errors import AnswerIsNo, DatasetError
from polyrefuse.hub.remote import Gating, hub_client
from polyrefuse.plain_file import plain
from polyrefuse_builders.publish.execute import PublishOutcome, execute_publish
from polyrefuse_builders.publish.plan import PublishPlan, plan_publish


@dataclass(frozen=True)
class PublishReport:
    """The plan, where it is saved (dry run), and what was done (``--yes``)."""

    plan: PublishPlan
    plan_file: Path
    outcome: PublishOutcome | None


def publish(
    folder: Path,
    repo: str,
    *,
    yes: bool = False,
    create_pr: bool = False,
    gated: Gating | None = None,
    endpoint: str | None = None,
    token: str | None = None,
    plan_file: Path | None = None,
) -> PublishReport:
    """Plan, and with `yes` publish, a dataset folder.

    Without `yes` the plan is saved, by default beside the folder, and nothing else happens. With
    `yes` the saved plan is carried out, or refused if it no longer fits; without a saved plan one
    is made and carried out at once.

    Raises:
        AnswerIsNo: the folder breaks an invariant, or folder or repository changed since.
        DatasetError: the folder or the saved plan cannot be read or written.
        PublishError: the Hub, the network, the token or the repository id cannot be used.
    """
    saved_as = plan_file or default_plan_file(folder, repo)
    if not yes:
        plan = plan_publish(folder, repo, endpoint=endpoint, token=token, gated=gated)
        _save(plan, saved_as)
        return PublishReport(plan, saved_as, None)
    saved = read_plan(saved_as)
    if saved is None:
        saved = plan_publish(folder, repo, endpoint=endpoint, token=token, gated=gated)
    _require_same_target(saved, folder, repo, hub_client(endpoint, None).endpoint, gated, saved_as)
    outcome = execute_publish(saved, create_pr=create_pr, token=token)
    saved_as.unlink(missing_ok=True)
    return PublishReport(saved, saved_as, outcome)


def default_plan_file(folder: Path, repo: str) -> Path:
    """Return where the plan of `folder` for `repo` is saved: beside the folder."""
    folder = folder.expanduser().resolve()
    name = "".join(c if c.isalnum() or c in "-_." else "-" for c in repo)
    return folder.with_name(f"{folder.name}.publish-{name}.json")


def read_plan(path: Path) -> PublishPlan | None:
    """Read a saved plan; None where there is none.

    Raises:
        DatasetError: the file is no plan.
    """
    try:
        return PublishPlan.model_validate_json(plain(path).read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValidationError) as error:
        raise DatasetError(
            f"{path}: is no plan that can be used.", "Remove it, and run without --yes."
        ) from error


def _save(plan: PublishPlan, path: Path) -> None:
    """Save a plan that can be carried out; one that is refused is not kept."""
    try:
        if plan.refusals:
            path.unlink(missing_ok=True)
        else:
            write_whole(path, plan.model_dump_json(indent=2) + "\n")
    except OSError as error:
        raise DatasetError(
            f"{path}: the plan cannot be saved ({error.strerror}).",
            "Free some space, or name another file with --plan.",
        ) from error


def _require_same_target(
    plan: PublishPlan, folder: Path, repo: str, endpoint: str, gated: Gating | None, path: Path
) -> None:
    wanted = (str(folder.expanduser().resolve()), repo, endpoint, gated or plan.gated)
    if (plan.folder, plan.repo, plan.endpoint, plan.gated) != wanted:
        raise AnswerIsNo(
            f"{path}: the saved plan is for another folder, repository, endpoint or gating.",
            "Run again without --yes, and look at the new plan.",
        )
