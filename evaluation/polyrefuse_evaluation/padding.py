"""Batches of prompts in which none feels the padding of another.

Left padding is masked, and most models ignore it; some (RWKV, xLSTM, Recurrent Gemma) read it all
the same. Of those only prompts of one length share a batch.
"""

import weakref
from collections.abc import Iterator, Sequence

import torch

from polyrefuse_evaluation.activations import batches
from polyrefuse_evaluation.memory import is_out_of_memory
from polyrefuse_evaluation.models import LoadedModel
from polyrefuse_evaluation.row_ablation import close_logits

SHORT, LONG = 5, 17

_KNOWN: "weakref.WeakKeyDictionary[torch.nn.Module, bool]" = weakref.WeakKeyDictionary()


def ignores_padding(loaded: LoadedModel) -> bool:
    """Whether a short prompt gets the same logits beside a long one as alone; tried once a model.

    Ask before an intervention, not inside it.
    """
    if loaded.model not in _KNOWN:
        generator = torch.Generator().manual_seed(0)
        ids = torch.randint(0, len(loaded.tokenizer), (LONG,), generator=generator).tolist()
        alone = loaded.last_logits([ids[:SHORT]])
        try:
            together = loaded.last_logits([ids[:SHORT], ids])[:1]
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            return False  # where two short rows do not fit, batches hold single prompts anyway
        _KNOWN[loaded.model] = close_logits(loaded, together, alone)
    return _KNOWN[loaded.model]


def prompt_batches(
    loaded: LoadedModel, sequences: Sequence[Sequence[int]], batch_tokens: int
) -> Iterator[list[int]]:
    """Yield lists of indices, longest first, each within a budget of padded tokens."""
    return batches(sequences, batch_tokens, one_length=not ignores_padding(loaded))
