"""The ways to decode one batch greedily, by name; all give the same texts.

An engine is a function of a model, prompts and a limit. Knows nothing of memory or files.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch

from polyrefuse_evaluation.generation.completion import Decoded, cut_at_end, end_tokens
from polyrefuse_evaluation.generation.plan import Engine
from polyrefuse_evaluation.generation.rows import GreedyRows
from polyrefuse_evaluation.memory import is_out_of_memory
from polyrefuse_evaluation.models import LoadedModel
from polyrefuse_evaluation.packed_linear import plainly

NEAR = 2e-5
"""Difference of two logits, relative to the largest, that rounding in float32 could turn round.

Batches and kernels move logits by up to 3e-6 on 12 layers of width 768.
"""

Sequences = Sequence[Sequence[int]]
DecodeBatch = Callable[[LoadedModel, Sequences, int], list[Decoded]]


@contextmanager
def plain_greedy(loaded: LoadedModel, max_new_tokens: int, **settings: Any) -> Iterator[Any]:
    """Keep a checkpoint's own decoding settings out (Qwen brings a repetition penalty)."""
    from transformers import GenerationConfig

    before = loaded.model.generation_config
    plain = GenerationConfig(
        max_new_tokens=max_new_tokens,
        do_sample=False,
        num_beams=1,
        eos_token_id=sorted(end_tokens(loaded)) or None,
        pad_token_id=loaded.pad_id,
        **settings,
    )
    loaded.model.generation_config = plain
    try:
        yield plain
    finally:
        loaded.model.generation_config = before


def _inputs(loaded: LoadedModel, sequences: Sequences) -> dict[str, Any]:
    batch = loaded.inputs(sequences)
    batch.pop("position_ids", None)  # generate() counts positions from the mask by itself
    return batch


def decode_rows(
    loaded: LoadedModel,
    sequences: Sequences,
    max_new_tokens: int,
    limits: Sequence[int] | None = None,
) -> list[Decoded]:
    """Decode a batch that finished rows leave; `limits` may set a limit for each row.

    Where rounding could decide between two tokens, in full precision, the row is computed once more
    on its own: what stands beside it in the batch, and by which kernels, changes no answer.
    """

    def settle(row: int, said: Sequence[int]) -> int:
        with plainly():
            return int(loaded.last_logits([[*sequences[row], *said]])[0].argmax())

    exact = loaded.model.dtype in (torch.float32, torch.float64)
    rows = GreedyRows(
        end_tokens(loaded),
        limits or [max_new_tokens] * len(sequences),
        settle if exact else None,
        NEAR,
    )
    with plain_greedy(loaded, max_new_tokens):
        loaded.model.generate(**_inputs(loaded, sequences), custom_generate=rows)  # type: ignore[operator]
    return rows.answers


def decode_batch(
    loaded: LoadedModel, sequences: Sequences, max_new_tokens: int, **settings: Any
) -> list[Decoded]:
    """Decode a batch by `model.generate`, until all of its rows have finished."""
    batch, ends = _inputs(loaded, sequences), end_tokens(loaded)
    with plain_greedy(loaded, max_new_tokens, **settings):
        output = loaded.model.generate(**batch)  # type: ignore[operator]
    width = batch["input_ids"].shape[1]
    return [cut_at_end(row, ends) for row in output[:, width:].tolist()]


def decode_single(loaded: LoadedModel, sequences: Sequences, max_new_tokens: int) -> list[Decoded]:
    """Decode by `model.generate`, one prompt at a time: for models that padding disturbs."""
    return [decode_batch(loaded, [row], max_new_tokens)[0] for row in sequences]


def decode_static(loaded: LoadedModel, sequences: Sequences, max_new_tokens: int) -> list[Decoded]:
    """Decode by `model.generate` with a static cache, which transformers compiles on a GPU."""
    import torch._dynamo

    # By default compiled code does not notice hooks that come later: ablation would be ignored.
    with torch._dynamo.config.patch(skip_nnmodule_hook_guards=False):
        return decode_batch(loaded, sequences, max_new_tokens, cache_implementation="static")


def decode_continuous(
    loaded: LoadedModel, sequences: Sequences, max_new_tokens: int
) -> list[Decoded]:
    """Decode by `model.generate_batch`, in which new prompts take the place of finished ones.

    It logs failures and returns what it has; rows that failed are decoded by `decode_rows`.
    """
    ends = end_tokens(loaded)
    with plain_greedy(loaded, max_new_tokens) as settings:
        try:
            made = loaded.model.generate_batch(  # type: ignore[operator]
                inputs=[list(row) for row in sequences],
                generation_config=settings,
                continuous_batching_config=_paging(loaded, sequences, max_new_tokens),
            )
        except Exception as error:  # whatever its thread, kernels or cache raise
            if is_out_of_memory(error):
                raise
            made = {}
    outputs = list(made.values())
    if len(outputs) != len(sequences):  # which ones are missing cannot be told
        return decode_rows(loaded, sequences, max_new_tokens)
    answers = [cut_at_end(list(output.generated_tokens), ends) for output in outputs]
    failed = [
        index
        for index, (output, row) in enumerate(zip(outputs, sequences, strict=True))
        if output.error is not None or list(output.prompt_ids) != list(row)
    ]
    if failed:
        again = decode_rows(loaded, [sequences[index] for index in failed], max_new_tokens)
        for index, answer in zip(failed, again, strict=True):
            answers[index] = answer
    return answers


def _paging(loaded: LoadedModel, sequences: Sequences, max_new_tokens: int) -> Any:
    """Return settings of the paged cache: by itself it would take most of a machine's memory."""
    from transformers import ContinuousBatchingConfig

    settings = ContinuousBatchingConfig()
    if loaded.device.type == "cpu":
        pages = [-(-(len(row) + max_new_tokens) // settings.page_size) for row in sequences]
        settings.num_blocks = sum(pages) + 1
        settings.max_batch_tokens = max(256, *map(len, sequences))
    return settings


ENGINES: dict[Engine, DecodeBatch] = {
    "rows": decode_rows,
    "batch": decode_batch,
    "single": decode_single,
    "static": decode_static,
    "continuous": decode_continuous,
}
