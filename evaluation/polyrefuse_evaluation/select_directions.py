"""Fit and select one refusal direction for each source language of a model.

Refusal tokens from the model's own refusals -> means over train prompts -> candidates scored on
validation prompts -> the winner. Each language is kept in the run directory as soon as it is done.
"""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from pydantic import BaseModel, ConfigDict, Field
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from polyrefuse.atomic import write_whole
from polyrefuse.errors import RunDirectoryError
from polyrefuse.languages import LANGUAGES
from polyrefuse.prompts import LABELS, Prompt
from polyrefuse.results import DirectionRecord
from polyrefuse.run_lock import say
from polyrefuse_evaluation.candidate_scores import ValidationPrompts, select_candidate
from polyrefuse_evaluation.chat import prompt_name, render
from polyrefuse_evaluation.directions import CandidateDirections, RefusalDirection
from polyrefuse_evaluation.extraction import Extraction, extract
from polyrefuse_evaluation.first_tokens import find_first_tokens
from polyrefuse_evaluation.generation import memory_limit
from polyrefuse_evaluation.judges import RegisteredJudge
from polyrefuse_evaluation.memory import in_smaller_batches
from polyrefuse_evaluation.models import LoadedModel
from polyrefuse_evaluation.packed_linear import packed_linears
from polyrefuse_evaluation.progress import progress_bar
from polyrefuse_evaluation.prompt_sets import PromptSets
from polyrefuse_evaluation.refusal_score import RefusalTokens, discover_refusal_tokens
from polyrefuse_evaluation.run_directory import DIRECTIONS, SELECTION, RunDirectory, io_errors
from polyrefuse_evaluation.selection import Scores, Selection, eligible

UNIT_TOLERANCE = 1e-3
"""By how much the length of a stored unit vector may differ from 1."""


class SelectionRecord(BaseModel):
    """One line of ``selection.jsonl``: the direction of one source language, and all its scores.

    `train_scores` has the refusal score of each train prompt by label, without intervention, in the
    order of ids. A score that is NaN is written as null.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    direction: DirectionRecord
    scores: list[dict[str, float | int | None]]
    passes: dict[str, int]
    train_scores: dict[str, list[float | None]] = Field(default_factory=dict)


@dataclass(frozen=True)
class SelectedDirection:
    """What was selected for one source language; `direction` is None if nothing could be."""

    record: DirectionRecord
    direction: RefusalDirection | None


def render_rows(loaded: LoadedModel, rows: Iterable[Prompt]) -> list[list[int]]:
    """Return the token ids of prompts in the model's chat template."""
    rows = list(rows)
    names = [prompt_name(row) for row in rows]
    return render(loaded.tokenizer, [row.prompt for row in rows], loaded.chat, names)


def select_directions(
    loaded: LoadedModel,
    sets: PromptSets,
    judge: RegisteredJudge,
    run: RunDirectory,
    *,
    batch_tokens: int,
    full_scores: bool = False,
    refusal_tokens: tuple[int, ...] | None = None,
) -> list[SelectedDirection]:
    """Return the selected direction of each source language, in order.

    Args:
        loaded: the model.
        sets: prompts; train and validation of the source languages are used.
        judge: finds the model's own refusals.
        run: languages already done there are read back.
        batch_tokens: padded tokens a batch.
        full_scores: score every candidate in full, for plots.
        refusal_tokens: use these token ids in every language instead of discovering them.
    """
    done = _read_done(run)
    missing = [code for code in sets.source_languages if code not in done]
    if missing:
        with packed_linears(loaded.model):
            tokens = _refusal_tokens(loaded, sets, judge, run, batch_tokens, refusal_tokens)
            with progress_bar("Selecting directions", len(missing)) as advance:
                for language in missing:
                    chosen, line = in_smaller_batches(
                        "select",
                        lambda budget, code=language: _select_language(  # type: ignore[misc]
                            loaded, sets, code, tokens[code], budget, full_scores
                        ),
                        batch_tokens,
                        memory_limit(loaded),
                    )
                    done[language] = chosen
                    _keep(run, done, line)
                    advance(1)
    return [done[language] for language in sets.source_languages]


def _refusal_tokens(
    loaded: LoadedModel,
    sets: PromptSets,
    judge: RegisteredJudge,
    run: RunDirectory,
    batch_tokens: int,
    override: tuple[int, ...] | None,
) -> dict[str, RefusalTokens]:
    """Return the refusal tokens of every language of the run."""
    languages = list(dict.fromkeys([*sets.source_languages, *sets.languages]))
    if override is not None:
        return {code: RefusalTokens(code, override, None, "override") for code in languages}
    rows = [row for code in languages for row in sets.get(code, "validation", "harmful")]
    found = find_first_tokens(loaded, rows, render_rows(loaded, rows), judge, run, batch_tokens)
    first: dict[str, list[int]] = {code: [] for code in languages}
    for row in rows:
        token = found[row.language, row.id]
        if token is not None:
            first[row.language].append(token)
    return discover_refusal_tokens(first)


def fit_candidates(
    loaded: LoadedModel, sets: PromptSets, language: str, batch_tokens: int
) -> CandidateDirections:
    """Return the differences in means of one language's train prompts, in one pass over them."""
    with packed_linears(loaded.model):  # as `select_directions` computes them
        return _extract(loaded, sets, language, batch_tokens, ()).candidates


def _extract(
    loaded: LoadedModel,
    sets: PromptSets,
    language: str,
    batch_tokens: int,
    tokens: tuple[int, ...],
) -> Extraction:
    prompts = {label: sets.get(language, "train", label) for label in LABELS}
    return extract(loaded, prompts, language, batch_tokens, tokens)


def _select_language(
    loaded: LoadedModel,
    sets: PromptSets,
    language: str,
    tokens: RefusalTokens,
    batch_tokens: int,
    full_scores: bool,
) -> tuple[SelectedDirection, SelectionRecord]:
    extraction = _extract(loaded, sets, language, batch_tokens, tokens.tokens)
    candidates = extraction.candidates
    selection = Selection(None, "no_refusals", (), {"bypass": 0, "induce": 0, "kl": 0})
    if tokens.tokens:
        harmful, harmless = (
            render_rows(loaded, sets.get(language, "validation", label))
            for label in ("harmful", "harmless")
        )
        prompts = ValidationPrompts(harmful, harmless)
        selection = select_candidate(
            loaded, candidates, prompts, tokens.tokens, batch_tokens, full_scores
        )
    winner = selection.winner
    direction = candidates.direction(winner.position, winner.layer) if winner else None
    about = _record(loaded, language, tokens, candidates, selection, direction)
    line = SelectionRecord(
        direction=about,
        scores=[asdict(score) for score in selection.scores],
        passes=selection.passes,
        train_scores={label: scores.tolist() for label, scores in extraction.scores.items()},
    )
    return SelectedDirection(about, direction), line


def _record(
    loaded: LoadedModel,
    language: str,
    tokens: RefusalTokens,
    candidates: CandidateDirections,
    selection: Selection,
    direction: RefusalDirection | None,
) -> DirectionRecord:
    winner: Scores | None = selection.winner
    layers = candidates.differences.shape[1]
    planted = loaded.planted_vectors.get(language)
    cosine = None
    if planted is not None and direction is not None:
        cosine = float(torch.dot(planted.float(), direction.vector))
    return DirectionRecord(
        language=language,
        position=winner.position if winner else None,
        layer=winner.layer if winner else None,
        norm=direction.norm if direction else None,
        bypass=winner.bypass if winner else None,
        induce=winner.induce if winner else None,
        kl=winner.kl if winner else None,
        rung=selection.rung,
        candidates=len(eligible([(s.position, s.layer) for s in selection.scores], layers)),
        refusal_tokens=list(tokens.tokens),
        refusal_token_texts=[str(loaded.tokenizer.decode([token])) for token in tokens.tokens],
        refusal_tokens_from=tokens.origin,
        refusal_token_coverage=tokens.coverage,
        train_harmful=candidates.n_harmful,
        train_harmless=candidates.n_harmless,
        planted_cosine=cosine,
    )


def _read_done(run: RunDirectory) -> dict[str, SelectedDirection]:
    vectors = _read_vectors(run.path / DIRECTIONS)
    done = {}
    kept = []
    for line in run.read(SELECTION, SelectionRecord):
        about = line.direction
        direction = None
        if about.position is not None and about.layer is not None and about.norm is not None:
            if about.language not in vectors or about.language in done:
                continue
            direction = RefusalDirection(
                vectors[about.language], about.norm, about.position, about.layer, about.language
            )
        done[about.language] = SelectedDirection(about, direction)
        kept.append(line)
    run.rewrite(SELECTION, kept)  # without torn lines and those whose vectors are gone
    return done


def _read_vectors(path: Path) -> dict[str, Tensor]:
    """Return the vectors of unit length; none if the file is damaged, which makes them again.

    Raises:
        RunDirectoryError: it is there and cannot be read, which says nothing of what it holds.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise RunDirectoryError(
            f"{path}: cannot be read ({error.strerror}).",
            "Mend that, then run the command again: it resumes.",
        ) from error
    try:
        vectors = load(data)
    except (SafetensorError, ValueError, KeyError) as error:
        say(f"{path}: is damaged ({error}); its directions are selected again.")
        return {}
    return {
        code: vector
        for code, vector in vectors.items()
        if abs(float(vector.float().norm()) - 1) < UNIT_TOLERANCE
    }


def _keep(run: RunDirectory, done: dict[str, SelectedDirection], line: SelectionRecord) -> None:
    """Write the vectors first, then the line that says they are there."""
    run.require_inputs()
    vectors = {
        code: item.direction.vector.contiguous()
        for code, item in done.items()
        if item.direction is not None and code in LANGUAGES
    }
    path = run.path / DIRECTIONS
    with io_errors(path):
        write_whole(path, save(vectors))
    run.append(SELECTION, [line])
