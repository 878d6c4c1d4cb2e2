"""The untrained Llama that the planted models grow from, and how one is written to disk."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import LlamaForCausalLM, PreTrainedTokenizerFast


def new_llama(
    tokenizer: "PreTrainedTokenizerFast", *, hidden_size: int, layers: int, key_value_heads: int
) -> "LlamaForCausalLM":
    """Return a Llama with 4 attention heads and random weights, drawn from torch's generator."""
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=hidden_size,
        intermediate_size=2 * hidden_size,
        num_hidden_layers=layers,
        num_attention_heads=4,
        num_key_value_heads=key_value_heads,
        max_position_embeddings=1024,
        tie_word_embeddings=True,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return LlamaForCausalLM(config)


def save_checkpoint(
    folder: Path, model: "LlamaForCausalLM", tokenizer: "PreTrainedTokenizerFast"
) -> None:
    """Write a model and its tokenizer as `from_pretrained` reads them."""
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
