"""The holdback: new prompts that are kept back, to re-check models on prompts nobody trained on.

Drawn from candidate rows with a secret seed, in the candidates' own proportions of labels and
categories; twins stay together. The folder loads like any dataset and is never published; its
digest is, so that maintainers can later show that they did not change it.
"""

import hashlib
import hmac
import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from polyrefuse.errors import DatasetError
from polyrefuse.folder import read_jsonl, read_prompts
from polyrefuse.prompts import Prompt, normalised
from polyrefuse_builders.card import render_card
from polyrefuse_builders.write_folder import write_dataset_folder

MANIFEST = "holdback.json"
SHORTEST_SEED = 16
"""Fewest characters of a secret seed: a short one could be guessed from the published rows."""


class Holdback(BaseModel):
    """What ``holdback.json`` keeps, in the folder only; `digest` alone is published.

    `salt` (hex) keeps the digest from being confirmed by guessing prompts.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    digest: str
    salt: str
    prompts: int
    rows: int


def build_holdback(
    prompts: Sequence[Prompt],
    secret_seed: str,
    out: Path,
    *,
    size: int = 100,
    published: Iterable[Prompt] = (),
) -> Holdback:
    """Draw a holdback from candidate rows and write it to the folder `out`, readable by you alone.

    Args:
        prompts: candidate rows, all languages; never published before or later.
        secret_seed: at least 16 characters; the same seed draws the same prompts.
        out: folder to write.
        size: prompts (ids) to draw; twins may make it one more.
        published: rows of the published dataset, none of which may stand in the holdback.

    Raises:
        DatasetError: the seed is too short, there are too few candidates, a candidate is already
            published, or `out` cannot be written.
    """
    if len(secret_seed) < SHORTEST_SEED:
        raise DatasetError(
            f"the secret seed has fewer than {SHORTEST_SEED} characters.",
            "Make one with: python -c 'import secrets; print(secrets.token_hex(32))'",
        )
    _refuse_published(prompts, published)
    ids = _draw(prompts, secret_seed.encode(), size)
    rows = [row.model_copy(update={"split": "test"}) for row in prompts if row.id in ids]
    salt = _keyed(secret_seed.encode(), "salt").hex()
    holdback = Holdback(
        digest=holdback_digest(rows, salt), salt=salt, prompts=len(ids), rows=len(rows)
    )
    _write(out, rows, holdback)
    return holdback


def holdback_digest(rows: Iterable[Prompt], salt: str) -> str:
    """Return ``sha256:...`` over the salt and the canonical rows, whatever their order."""
    lines = sorted(
        json.dumps(row.model_dump(mode="json"), ensure_ascii=False, sort_keys=True) for row in rows
    )
    content = "\n".join([salt, *lines]).encode()
    return "sha256:" + hashlib.sha256(content).hexdigest()


def verify_holdback(folder: Path, digest: str) -> bool:
    """Whether the holdback in `folder` is the one whose `digest` was published.

    Raises:
        DatasetError: `folder` is no holdback, or cannot be read.
    """
    manifest = folder / MANIFEST
    if not manifest.is_file():
        raise DatasetError(f"{folder}: is no holdback ({MANIFEST} is missing).", "Name another.")
    entries = [entry for _, entry in read_jsonl(manifest, Holdback)]
    if len(entries) != 1:
        raise DatasetError(f"{manifest}: holds {len(entries)} entries, not one.", "Restore it.")
    found = holdback_digest(read_prompts(folder), entries[0].salt)
    return hmac.compare_digest(found, digest)


def _refuse_published(prompts: Iterable[Prompt], published: Iterable[Prompt]) -> None:
    ids, texts = set(), set()
    for row in published:
        ids.add(row.id)
        texts.add(normalised(row.prompt_en))
    for row in prompts:
        if row.id in ids or normalised(row.prompt_en) in texts:
            raise DatasetError(
                f"id {row.id}, language {row.language}: is already published.",
                "Draw the holdback from new prompts only.",
            )


def _draw(prompts: Sequence[Prompt], key: bytes, size: int) -> set[str]:
    """Return the drawn ids: a share of every stratum by largest remainder, then by keyed order."""
    units = _units(prompts)
    available = sum(len(ids) for group in units.values() for ids in group)
    if not 0 < size <= available:
        raise DatasetError(
            f"{size} prompts cannot be drawn from {available} candidates.",
            "Name a size of at least 1, or bring more candidates.",
        )
    totals = {stratum: sum(map(len, group)) for stratum, group in units.items()}
    exact = {stratum: size * total / available for stratum, total in totals.items()}
    quota = {stratum: int(share) for stratum, share in exact.items()}
    by_remainder = sorted(exact, key=lambda s: (quota[s] - exact[s], _keyed(key, s)))
    for stratum in by_remainder[: size - sum(quota.values())]:
        quota[stratum] += 1
    drawn: set[str] = set()
    for stratum, group in units.items():
        taken = 0
        for ids in sorted(group, key=lambda ids: _keyed(key, ids[0])):
            if taken >= quota[stratum]:
                break
            drawn.update(ids)
            taken += len(ids)
    return drawn


def _units(prompts: Sequence[Prompt]) -> dict[str, list[tuple[str, ...]]]:
    """Return ids that are drawn together (twins), by stratum: their labels and categories."""
    first = {row.id: row for row in reversed(prompts)}
    groups: dict[str, list[tuple[str, ...]]] = defaultdict(list)
    done: set[str] = set()
    for row in first.values():
        if row.id in done:
            continue
        twin = first.get(row.pair_id) if row.pair_id else None
        pair = sorted({row.id, twin.id} if twin else {row.id})
        done.update(pair)
        stratum = "; ".join(sorted(f"{first[id_].label}/{first[id_].category}" for id_ in pair))
        groups[stratum].append(tuple(pair))
    return groups


def _keyed(key: bytes, text: str) -> bytes:
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def _write(out: Path, rows: Sequence[Prompt], holdback: Holdback) -> None:
    card = render_card(
        rows,
        [],
        name="PolyRefuse holdback: do not publish",
        licence="other",
        description="Kept back to re-check models. Never publish, share or upload these prompts.",
    )
    out = out.expanduser().resolve()
    extra = {MANIFEST: json.dumps(holdback.model_dump()) + "\n"}
    write_dataset_folder(out, rows, [], card, extra)
    out.chmod(0o700)
