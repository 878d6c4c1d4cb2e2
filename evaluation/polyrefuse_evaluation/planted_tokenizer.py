"""The planted model's tokenizer: byte-level BPE trained on the prompts, with a chat template."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from polyrefuse_evaluation.planted_batches import Lesson
from polyrefuse_evaluation.planted_texts import COMPLIANCES, REFUSALS

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

VOCABULARY = 16_000
PAD, BEGIN, USER, END, ASSISTANT = "<|pad|>", "<|begin|>", "<|user|>", "<|end|>", "<|assistant|>"

CHAT_TEMPLATE = (
    "{{ '" + BEGIN + "' }}"
    "{% for message in messages %}"
    "{{ '<|' + message['role'] + '|>\n' + message['content'] + '" + END + "\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '" + ASSISTANT + "\n' }}{% endif %}"
)


def build_tokenizer(
    prompts: Iterable[str], vocabulary: int = VOCABULARY
) -> "PreTrainedTokenizerFast":
    """Train the tokenizer on the prompts and the planted answers."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    bpe = Tokenizer(models.BPE())
    # Split at spaces only: the usual pattern cuts Thai and Yoruba at every combining mark.
    bpe.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(" ", behavior="merged_with_next"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=[PAD, BEGIN, USER, END, ASSISTANT],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    answers = [*REFUSALS.values(), *COMPLIANCES.values()]
    bpe.train_from_iterator([*prompts, *answers * 20], trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        bos_token=BEGIN,
        eos_token=END,
        pad_token=PAD,
        additional_special_tokens=[USER, ASSISTANT],
        padding_side="left",
        chat_template=CHAT_TEMPLATE,
    )


def encode_lesson(
    tokenizer: "PreTrainedTokenizerFast", language: str, harmful: bool, prompt: str
) -> Lesson:
    """Return the token ids of one prompt in the chat template, and of both answers."""
    text = tokenizer.apply_chat_template(
        [{"role": "user", "content": prompt}], tokenize=False, add_generation_prompt=True
    )

    def ids(part: str) -> tuple[int, ...]:
        return tuple(tokenizer(part, add_special_tokens=False)["input_ids"])

    return Lesson(
        language,
        harmful,
        ids(str(text)),
        ids(REFUSALS[language] + END),
        ids(COMPLIANCES[language] + END),
    )
