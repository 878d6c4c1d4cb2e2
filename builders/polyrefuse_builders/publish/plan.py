"""The plan: every file that would go up, what that changes, and what speaks against it."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from polyrefuse.check import check_prompts
from polyrefuse.folder import read_errata, read_prompts
from polyrefuse.hub.hub_errors import require_repo_id
from polyrefuse.hub.remote import (
    Gating,
    Remote,
    hub_client,
    read_remote,
    resolve_token,
)
from polyrefuse.prompts import Prompt
from polyrefuse_builders.documents.about import FRONT_MATTER_KEY, read_front_matter
from polyrefuse_builders.documents.figures import languages_of
from polyrefuse_builders.publish.local_files import LocalFile, is_published, read_local_files

Change = Literal["added", "changed", "unchanged"]

SHOWN_VIOLATIONS = 5
TIME = re.compile(r"\d{4}-\d\d-\d\d([ T]\d\d(:\d\d){0,2}(Z|[+-]\d\d(:?\d\d)?)?)?")
WITHOUT_CANARY = ("LICENSE", "LICENSE.upstream", "errata.jsonl")
"""Files without prompts: they need no canary."""


class PlannedFile(BaseModel):
    """One file of the plan: size in bytes, sha256, and what it changes on the Hub."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: str
    size: int
    sha256: str
    change: Change


class CardSummary(BaseModel):
    """What the Hub will read from the card."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str | None
    licence: str | None
    configs: list[str]
    gated_prompt: bool
    gated_fields: list[str]


class PublishPlan(BaseModel):
    """What publishing would do, and to what.

    Attributes:
        removed: published files that are on the Hub and no longer in the folder.
        kept: files on the Hub that publishing never touches.
        left_out: files of the folder that are not published.
        remote_commit: the commit the plan was made against; None where there is no repository.
        remote_gated: gating as it is; `gated` as it shall be.
        warnings: worth a look; `refusals`: the reasons why this is not published.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_version: Literal[1] = 1
    folder: str
    repo: str
    endpoint: str
    content_digest: str
    files: list[PlannedFile]
    removed: list[str]
    kept: list[str]
    left_out: list[str]
    remote_commit: str | None
    remote_gated: Gating | Literal[False]
    gated: Gating
    card: CardSummary
    warnings: list[str] = Field(default_factory=list)
    refusals: list[str] = Field(default_factory=list)

    @property
    def uploads(self) -> list[PlannedFile]:
        """The files that are new or changed."""
        return [file for file in self.files if file.change != "unchanged"]

    @property
    def empty(self) -> bool:
        """Whether the repository already holds exactly these files."""
        return not self.uploads and not self.removed


def plan_publish(
    folder: Path,
    repo: str,
    *,
    endpoint: str | None = None,
    token: str | None = None,
    gated: Gating | None = None,
) -> PublishPlan:
    """Compare a dataset folder with dataset repository `repo`; changes nothing.

    Args:
        folder: a dataset folder.
        repo: Hub id, ``organisation/name``.
        endpoint: address of the Hub; HF_ENDPOINT by default.
        token: Hub token; that of the environment or of ``hf auth login`` by default.
        gated: who lets people in: the Hub (``auto``) or you (``manual``); by default as it is,
            else ``auto``.

    Raises:
        DatasetError: the folder cannot be read.
        PublishError: the id is invalid, or the Hub cannot be read.
        AnswerIsNo: the folder is a holdback.
    """
    require_repo_id(repo)
    folder = folder.expanduser().resolve()
    prompts = read_prompts(folder)
    report = check_prompts(prompts, read_errata(folder))
    files, left_out = read_local_files(folder)
    token = resolve_token(token)
    api = hub_client(endpoint, token)
    remote = read_remote(api, repo)
    names = {file.path for file in files}
    refusals = [f"violated: {violation}" for violation in report.unlisted[:SHOWN_VIOLATIONS]]
    if len(report.unlisted) > SHOWN_VIOLATIONS:
        refusals.append(f"{len(report.unlisted)} violations in all are not listed in errata.jsonl")
    return PublishPlan(
        folder=str(folder),
        repo=repo,
        endpoint=api.endpoint,
        content_digest=report.digest,
        files=[_planned(file, remote) for file in files],
        removed=sorted(p for p in remote.digests if is_published(p) and p not in names),
        kept=sorted(p for p in remote.digests if not is_published(p)),
        left_out=left_out,
        remote_commit=remote.commit,
        remote_gated=remote.gated,
        gated=gated or remote.gated or "auto",
        card=_card_summary(folder),
        warnings=_warnings(folder, prompts, report.digest),
        refusals=[*refusals, *_file_refusals(files, prompts, token)],
    )


def _planned(file: LocalFile, remote: Remote) -> PlannedFile:
    there = remote.digests.get(file.path)
    change: Change = "added"
    if there is not None:
        same = there in (file.git_oid, f"sha256:{file.sha256}")
        change = "unchanged" if same else "changed"
    return PlannedFile(path=file.path, size=len(file.content), sha256=file.sha256, change=change)


def _file_refusals(
    files: Sequence[LocalFile], prompts: Sequence[Prompt], token: str | None
) -> list[str]:
    """Return what in the files themselves forbids publishing: a token, or no canary."""
    canaries = {row.canary.encode() for row in prompts}
    found = [
        f"{f.path} holds your Hub token" for f in files if token and token.encode() in f.content
    ]
    if not all(canaries):
        found.append("there are rows without a canary")
    for file in files:
        if file.path not in WITHOUT_CANARY and not any(c in file.content for c in canaries):
            found.append(f"{file.path} holds no canary; run 'polyrefuse build card' on the folder")
    return found


def _card_summary(folder: Path) -> CardSummary:
    data = read_front_matter(folder)
    configs = data.get("configs")
    fields = data.get("extra_gated_fields")
    return CardSummary(
        name=_text(data.get("pretty_name")),
        licence=_text(data.get("license")),
        configs=[str(c.get("config_name")) for c in configs] if isinstance(configs, list) else [],
        gated_prompt=bool(data.get("extra_gated_prompt")),
        gated_fields=[str(name) for name in fields] if isinstance(fields, dict) else [],
    )


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _warnings(folder: Path, prompts: Sequence[Prompt], digest: str) -> list[str]:
    """Return what is odd about the card: stale figures, languages without a config, no gating."""
    data, card = read_front_matter(folder), _card_summary(folder)
    block = data.get(FRONT_MATTER_KEY)
    said = block.get("content_digest") if isinstance(block, dict) else None
    found = []
    if said != digest:
        found.append("the documents are of other rows: run 'polyrefuse build card' on the folder")
    lacking = [code for code in languages_of(prompts) if code not in card.configs]
    if lacking:
        found.append(f"the card has no config for: {', '.join(lacking)}")
    if not card.gated_prompt:
        found.append("the card has no gating prompt")
    if dates := _read_as_times(prompts):
        found.append(
            f"load_dataset reads dates in {', '.join(dates)} as times and returns other text: "
            "write them with milliseconds"
        )
    return found


def _read_as_times(prompts: Sequence[Prompt]) -> list[str]:
    """Return the columns whose text Arrow takes for a time when it reads JSON (measured)."""
    return sorted(
        name
        for name in Prompt.model_fields
        if any(
            isinstance(text := getattr(row, name), str) and TIME.fullmatch(text) for row in prompts
        )
    )
