"""A sentence encoder from any transformers model: mean of the last layer over the text's tokens."""

from collections.abc import Sequence
from typing import Any

from numpy.typing import NDArray

from polyrefuse.errors import PolyRefuseError
from polyrefuse_builders.validation.on_request import Encoder

BATCH = 64


def transformers_encoder(model_id: str) -> Encoder:
    """Return an encoder of texts, shape (n, hidden), float32; texts are cut to the model's limit.

    Args:
        model_id: Hub id or folder of a multilingual encoder, e.g. of the LaBSE or E5 family.

    Raises:
        PolyRefuseError: the model cannot be loaded.
    """
    import torch
    from transformers import AutoModel, AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(model_id, trust_remote_code=False)
        model = AutoModel.from_pretrained(
            model_id, use_safetensors=True, trust_remote_code=False
        ).eval()
    except Exception as error:  # transformers raises many unrelated classes
        raise PolyRefuseError(
            f"{model_id}: the encoder could not be loaded ({type(error).__name__}).",
            "Name a folder or Hub id of a transformers encoder with its tokenizer.",
        ) from error

    def encode(texts: Sequence[str]) -> NDArray[Any]:
        parts = []
        for start in range(0, len(texts), BATCH):
            batch = tokenizer(
                list(texts[start : start + BATCH]),
                padding=True,
                truncation=True,
                max_length=min(512, tokenizer.model_max_length),
                return_tensors="pt",
            )
            with torch.no_grad():
                hidden = model(**batch).last_hidden_state
            mask = batch["attention_mask"][..., None]
            parts.append((hidden * mask).sum(dim=1) / mask.sum(dim=1))
        vectors: NDArray[Any] = torch.cat(parts).float().numpy()
        return vectors

    return encode
