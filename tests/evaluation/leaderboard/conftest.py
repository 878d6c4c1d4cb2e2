"""A finished run without a model: canned answers, the real judge, real figures. And its forger."""

import copy
import hashlib
import json
import shutil
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from polyrefuse.prompts import Prompt
from polyrefuse.results import (
    DirectionRecord,
    Environment,
    JudgeRecord,
    ModelRecord,
    Proof,
    Result,
    Settings,
)
from polyrefuse_evaluation.compose_result import compose_result
from polyrefuse_evaluation.judges.keyword import KEYWORD_JUDGE_VERSION, keyword_judge
from polyrefuse_evaluation.judges.types import JudgeInput
from polyrefuse_evaluation.leaderboard.labels import LabelRow, to_judgements, write_labels
from polyrefuse_evaluation.leaderboard.recompute import recompute
from polyrefuse_evaluation.leaderboard.schema import (
    FILES,
    LABELS,
    MANIFEST,
    RESULT,
    Manifest,
    file_record,
)
from polyrefuse_evaluation.leaderboard.submission import make_submission, submission_folder
from polyrefuse_evaluation.leaderboard.verify import verify
from polyrefuse_evaluation.prompt_sets import read_prompt_sets
from polyrefuse_evaluation.run_directory import CompletionRecord
from polyrefuse_evaluation.statistics import validated_ok

REFUSAL, HELP = "I'm sorry, but I can't help with that.", "Sure, here is how: 1. Begin. 2. Go on."
LANGUAGES, LIMIT = ["en", "de"], 5
CONDITIONS = ["baseline", "ablate:en", "ablate:random"]


def digest(text: str) -> str:
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def answer(row: Prompt, condition: str, variety: str) -> str:
    refuses = row.label == "harmful" and condition != "ablate:en"
    return f"{REFUSAL if refuses else HELP} {variety}"


def fake_run(path: Path, model: str = "org/model", variety: str = "", **changes) -> Result:
    """Write a run directory as `evaluate` does, of a model that refuses what it should."""
    settings = {
        "judges": ["keyword"], "revision": "a" * 40, "variant": None, "endpoint": None, **changes
    }  # fmt: skip
    behind = settings["endpoint"] is not None
    sources: list[str] | tuple[()] = () if behind else ["en"]
    sets = read_prompt_sets(None, languages=LANGUAGES, source_languages=sources, limit=LIMIT)
    judgements, completions = [], []
    for judge in settings["judges"]:
        for condition in CONDITIONS[:1] if behind else CONDITIONS:
            for row in sets.test_prompts():
                text = answer(row, condition, variety)
                [verdict] = keyword_judge([JudgeInput(row.language, text)])
                label = LabelRow(
                    row.id, row.language, condition, row.label, verdict.outcome, judge,
                    verdict.score, "en", verdict.reason, False, digest(text),
                )  # fmt: skip
                judgements += to_judgements([label])
                if judge == settings["judges"][0]:
                    completions.append(
                        CompletionRecord(
                            condition=condition, language=row.language, label=row.label, id=row.id,
                            batch=0, completion=text, sha256=digest(text), tokens=9, finished=True,
                        )
                    )  # fmt: skip
    result = compose_result(
        judgements,
        sets,
        0,
        model=_model(model, settings),
        settings=_settings(settings),
        proof=None if behind else Proof(verified=True, max_projection=1e-7, bound=1e-5, sites=13),
        directions=[] if behind else [_direction()],
        endpoint=settings["endpoint"],
        environment=Environment(
            versions={"torch": "2.13.0+cpu"}, python="3.11.7", platform="Linux x86_64",
            device="cpu (x86_64, 2 cores)", threads=1,
        ),
        wall_seconds=1.5,
    )  # fmt: skip
    path.mkdir(parents=True)
    (path / "result.json").write_text(result.model_dump_json(), encoding="utf-8")
    for name, rows in (("judgements", judgements), ("completions", completions)):
        lines = "".join(row.model_dump_json() + "\n" for row in rows)
        (path / f"{name}.jsonl").write_text(lines, encoding="utf-8")
    return result


def _model(name: str, settings: dict) -> ModelRecord:
    if settings["endpoint"] is not None:
        fields = ModelRecord.model_fields.items()
        unknown = {key: None for key, field in fields if field.is_required()}
        return ModelRecord(**unknown | {"name": name, "endpoint": settings["endpoint"].host})
    return ModelRecord(
        name=name, revision=settings["revision"], weights_digest=digest(f"weights of {name}"),
        architecture="LlamaForCausalLM", parameters=1000, layers=4, hidden_size=8, dtype="float32",
        chat_template_digest=digest("template"), thinking_disabled=False,
        planted_variant=settings["variant"],
    )  # fmt: skip


def _settings(settings: dict) -> Settings:
    version = KEYWORD_JUDGE_VERSION
    method = None if settings["endpoint"] else "weights"
    return Settings(
        languages=LANGUAGES, source_languages=["en"] if method else [],
        judges=[JudgeRecord(name=name, version=version) for name in settings["judges"]],
        max_new_tokens=32, limit=LIMIT, seed=0, train_prompts=128, full_scores=False,
        batch_tokens=1024, store_completions=True, ablation_method=method,
    )  # fmt: skip


def _direction() -> DirectionRecord:
    return DirectionRecord(
        language="en", position=-1, layer=2, norm=3.5, bypass=-5.0, induce=2.0, kl=0.02,
        rung="published", candidates=8, refusal_tokens=[7], refusal_token_texts=["I"],
        refusal_tokens_from="own", refusal_token_coverage=1.0, train_harmful=48, train_harmless=48,
    )  # fmt: skip


@dataclass
class Forgery:
    """A submission in pieces that can be changed and put together again.

    `seal` says how far a forger goes: ``none`` keeps the manifest, ``digests`` makes it again, and
    ``all`` also makes every figure again from the labels.
    """

    folder: str
    manifest: dict
    result: dict
    rows: list[LabelRow]
    seal: str = "digests"
    contents: dict[str, bytes] = field(default_factory=dict)

    def write(self, out: Path) -> Path:
        contents = self.files()
        path = out / self.folder
        path.mkdir(parents=True)
        for name, content in contents.items():
            (path / name).write_bytes(content)
        return path

    def files(self) -> dict[str, bytes]:
        result = self.result
        if self.seal == "all":
            read = Result.model_validate(result)
            sets = read_prompt_sets(None, languages=LANGUAGES, source_languages=["en"], limit=LIMIT)
            made = recompute(self.rows, read, validated_ok(sets.test_prompts()))
            result = made.model_dump(mode="json")
        contents = {
            RESULT: json.dumps(result).encode(),
            LABELS: write_labels(self.rows),
        } | self.contents
        manifest = self.manifest
        if self.seal != "none":
            records = {
                name: file_record(content).model_dump()
                for name, content in contents.items()
                if name != MANIFEST
            }
            manifest = manifest | {"rows": len(self.rows), "files": records}
        return {MANIFEST: json.dumps(manifest).encode()} | contents

    def change(self, at, **changes) -> None:
        """Change rows: those at an index, or those that a function picks."""
        for index, row in enumerate(self.rows):
            if index == at if isinstance(at, int) else at(row):
                self.rows[index] = replace(row, **changes)

    def set(self, where: str, value) -> None:
        """Set a field of the result: "cells.0.refusal.value"."""
        *path, last = where.split(".")
        item = self.result
        for step in path:
            item = item[int(step) if step.isdigit() else step]
        item[int(last) if last.isdigit() else last] = value

    def rename(self, name: str, folder: str | None = None) -> None:
        """Rename the model wherever its name stands."""
        self.result["model"]["name"] = self.manifest["model"] = name
        self.folder = folder or submission_folder(Result.model_validate(self.result))


@pytest.fixture(scope="session")
def run_dir(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("leaderboard") / "run"
    fake_run(path)
    return path


@pytest.fixture(scope="session")
def honest(run_dir, tmp_path_factory) -> Path:
    """Return an honest submission; copy it before changing anything."""
    return make_submission(run_dir, tmp_path_factory.mktemp("submissions")).path


@pytest.fixture(scope="session")
def _pieces(honest) -> Forgery:
    read = {name: (honest / name).read_bytes() for name in FILES}
    [verdict] = verify([honest])
    Manifest.model_validate_json(read[MANIFEST])
    return Forgery(
        honest.name, json.loads(read[MANIFEST]), json.loads(read[RESULT]), list(verdict.rows)
    )


@pytest.fixture
def forgery(_pieces) -> Forgery:
    """Return the honest submission in pieces."""
    return copy.deepcopy(_pieces)


@pytest.fixture
def submission(honest, tmp_path) -> Path:
    """Return a copy of the honest submission."""
    return Path(shutil.copytree(honest, tmp_path / "results" / honest.name))
