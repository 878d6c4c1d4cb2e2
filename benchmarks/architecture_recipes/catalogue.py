"""Which model types there are: the causal-LM mapping less encoder-decoder and masked-LM types."""

from transformers.models.auto import modeling_auto


def decoder_types() -> list[str]:
    """Return the decoder-only types of the installed transformers, sorted."""
    causal = modeling_auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
    others = {
        *modeling_auto.MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES,
        *modeling_auto.MODEL_FOR_MASKED_LM_MAPPING_NAMES,
    }
    return sorted(kind for kind in causal if kind not in others)


def all_causal_types() -> list[str]:
    """Return every type of the causal-LM mapping, sorted."""
    return sorted(modeling_auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES)
