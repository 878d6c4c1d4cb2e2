"""A dataset folder of any number of English test prompts, made of the packaged sample.

Train and validation are the sample's own. A test prompt is a sample prompt with a number behind it,
so that every English text is another one. Knows nothing of evaluations.
"""

import json
from collections.abc import Iterator
from pathlib import Path

from polyrefuse.dataset import SAMPLE_FOLDER
from polyrefuse.folder import read_prompts
from polyrefuse.prompts import LABELS, Prompt, make_prompt_id


def write_many_prompts(folder: Path, prompts: int) -> Path:
    """Write a dataset folder with `prompts` test rows, half of them harmful; return it."""
    data = folder / "data" / "en"
    data.mkdir(parents=True)
    for name in ("README.md", "data/en/train.jsonl", "data/en/validation.jsonl"):
        (folder / name).write_bytes((SAMPLE_FOLDER / name).read_bytes())
    with (data / "test.jsonl").open("w", encoding="utf-8") as stream:
        for row in many_prompts(prompts):
            stream.write(json.dumps(row.model_dump(mode="json"), ensure_ascii=False) + "\n")
    return folder


def many_prompts(prompts: int) -> Iterator[Prompt]:
    """Yield test prompts, harmful and harmless in turn."""
    known = read_prompts(SAMPLE_FOLDER, ["en"], ["test"])
    by_label = [[row for row in known if row.label == label] for label in reversed(LABELS)]
    for number in range(prompts):
        rows = by_label[number % 2]
        row = rows[number // 2 % len(rows)]
        text, source_id = f"{row.prompt} ({number})", f"{row.source_id}-{number}"
        changes = {"prompt": text, "prompt_en": text, "source_id": source_id, "pair_id": None}
        changes["id"] = make_prompt_id(row.label, row.source, source_id, text)
        yield row.model_copy(update=changes)
