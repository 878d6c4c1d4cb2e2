"""What does not fit the model's context is named before anything is generated."""

import pytest

from polyrefuse.errors import ModelError
from polyrefuse.results import BASELINE
from polyrefuse_evaluation.answering import Condition, answer_all
from polyrefuse_evaluation.judges import get_judge
from polyrefuse_evaluation.prompt_sets import read_prompt_sets
from polyrefuse_evaluation.run_directory import open_run_directory


@pytest.fixture
def answer(make_loaded, tmp_path):
    def run(times: int, max_new_tokens: int):
        sets = read_prompt_sets(None, languages="en", source_languages=(), limit=1)
        rows = [
            row.model_copy(update={"prompt": row.prompt * times}) for row in sets.test_prompts()
        ]
        with open_run_directory(tmp_path / "run", {}) as directory:
            answer_all(
                make_loaded("llama"),
                rows,
                [Condition(BASELINE, None)],
                [get_judge("keyword")],
                directory,
                batch_tokens=512,
                max_new_tokens=max_new_tokens,
                method="hooks",
                store_completions=True,
            )
        return (tmp_path / "run" / "completions.jsonl").read_text().count("\n")

    return run


def test_prompts_that_fit_are_answered(answer):
    assert answer(times=1, max_new_tokens=4) == 2


def test_too_many_new_tokens_are_refused_with_how_many_would_do(answer):
    with pytest.raises(ModelError, match=r"prompt \S+ \(en\).*Lower --max-new-tokens to \d+\."):
        answer(times=1, max_new_tokens=256)


def test_a_prompt_that_alone_exceeds_the_context_is_named(answer):
    with pytest.raises(ModelError, match=r"prompt \S+ \(en\).*The prompt alone is too long"):
        answer(times=100, max_new_tokens=4)
