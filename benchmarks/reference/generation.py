"""Generation as published, for comparison only.

Arditi et al. 2024 (arXiv 2406.11717) and its multilingual follow-up (arXiv 2505.17306): batches of
8 in the order of the data set, padded to the longest, generated until all of their rows have ended,
with hooks on every block, attention and MLP that normalise the direction again at each call.
Llama-shaped models only, known by their module names.
"""

import torch
from torch import Tensor

from benchmarks.reference.selection import Prompts, ablation_hooks, hooked
from polyrefuse_evaluation.models import LoadedModel

BATCH_SIZE = 8


@torch.no_grad()
def generate_as_published(
    loaded: LoadedModel,
    prompts: Prompts,
    max_new_tokens: int,
    end_tokens: list[int],
    vector: Tensor | None = None,
) -> list[list[int]]:
    """Return the answers' tokens, up to and without the first end token, in order.

    Args:
        loaded: a Llama-shaped model.
        prompts: rendered prompts.
        max_new_tokens: limit on an answer's length.
        end_tokens: tokens that end an answer.
        vector: direction to ablate, of any length; None at baseline.
    """
    from transformers import GenerationConfig

    model, pad = loaded.model, loaded.pad_id
    settings = GenerationConfig(
        max_new_tokens=max_new_tokens, do_sample=False, pad_token_id=pad, eos_token_id=end_tokens
    )
    answers: list[list[int]] = []
    with hooked(ablation_hooks(model, vector) if vector is not None else []):
        for start in range(0, len(prompts), BATCH_SIZE):
            batch = prompts[start : start + BATCH_SIZE]
            width = max(len(prompt) for prompt in batch)
            ids = torch.tensor([[pad] * (width - len(p)) + list(p) for p in batch])
            mask = torch.tensor([[0] * (width - len(p)) + [1] * len(p) for p in batch])
            output = model.generate(  # type: ignore[operator]
                input_ids=ids.to(loaded.device),
                attention_mask=mask.to(loaded.device),
                generation_config=settings,
            )
            answers += [_cut(row, end_tokens) for row in output[:, width:].tolist()]
    return answers


def _cut(row: list[int], end_tokens: list[int]) -> list[int]:
    return row[: next((at for at, token in enumerate(row) if token in end_tokens), len(row))]
