"""Render prompts with a model's chat template, and find the post-instruction span.

Knows the tokenizer only. Templated text is tokenized with ``add_special_tokens=False``, else the
beginning-of-sequence token doubles.
"""

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from polyrefuse.errors import ModelError
from polyrefuse_evaluation.reasoning import opened_reasoning
from polyrefuse_evaluation.template_limits import (
    LONGEST_TEXT,
    TemplateLimitError,
    limited,
    parse_template,
    require_modest,
)

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from polyrefuse.prompts import Prompt

_PROBES = ("What is the tallest mountain?", "Name two small red birds")
SWITCHES: dict[str, Any] = {
    "enable_thinking": False,  # Qwen 3, SmolLM 3, GLM 4.5, Hunyuan, Apertus
    "thinking": False,  # Granite, DeepSeek 3.1, Kimi
    "reasoning": False,  # Command A Reasoning
    "thinking_budget": 0,  # Seed-OSS
    "reasoning_effort": "low",  # gpt-oss cannot do without
}
"""What keeps reasoning off, or short, by the name of a template's variable."""


@dataclass(frozen=True)
class ChatFormat:
    """How this tokenizer's template renders one user turn.

    Attributes:
        post_instruction: token ids after the user's text, common to all prompts; positions -P..-1.
        thinking_disabled: whether a switch turns reasoning off, as the template knows one.
        digest: sha256 of the template; where a system prompt is given, of both.
        switches: variables passed to the template, by name (`SWITCHES`).
        system_prompt: text of the system turn; None renders none of ours.
        opened_reasoning: the tag with which the template itself opens the assistant's reasoning,
            or "": the model's text begins inside of it.
    """

    post_instruction: tuple[int, ...]
    thinking_disabled: bool
    digest: str
    switches: tuple[tuple[str, Any], ...] = ()
    system_prompt: str | None = None
    opened_reasoning: str = ""


def find_chat_format(
    tokenizer: "PreTrainedTokenizerBase", system_prompt: str | None = None
) -> ChatFormat:
    """Render the template with two user texts; their common token suffix is the span.

    Raises:
        ModelError: no chat template, it raises, leaves the user's text or the system prompt out,
            or puts nothing after the user's text.
    """
    template = tokenizer.chat_template
    if not template:
        raise ModelError(
            f"{tokenizer.name_or_path}: the tokenizer has no chat template.",
            "Evaluate an instruction-tuned model, or pass a template with --chat-template FILE.",
        )
    try:
        with limited():  # jinja2 works constants out as soon as it looks for variables
            require_modest(template)
            switches = _switches(template)
    except TemplateLimitError as error:
        raise ModelError(
            f"{tokenizer.name_or_path}: the chat template is not rendered: {error}.",
            "Pass another with --chat-template FILE.",
        ) from error
    texts = [_text(tokenizer, probe, switches, system_prompt) for probe in _PROBES]
    if system_prompt is not None and system_prompt.strip() not in texts[0]:
        raise ModelError(
            f"{tokenizer.name_or_path}: the chat template leaves the system prompt out.",
            "Evaluate without one, or pass another template with --chat-template FILE.",
        )
    span = _common_end(tokenizer, *(_tokens(tokenizer, text) for text in texts))
    content = json.dumps(template, sort_keys=True) if isinstance(template, dict) else str(template)
    if system_prompt is not None:
        content += "\0" + system_prompt
    digest = "sha256:" + hashlib.sha256(content.encode()).hexdigest()
    off = any(value is False or value == 0 for value in switches.values())
    return ChatFormat(
        span, off, digest, tuple(switches.items()), system_prompt, opened_reasoning(texts[0])
    )


def render(
    tokenizer: "PreTrainedTokenizerBase",
    prompts: Sequence[str],
    chat: ChatFormat,
    names: Sequence[str] | None = None,
) -> list[list[int]]:
    """Return the token ids of each prompt as a user turn, assistant's turn opened.

    Args:
        tokenizer: with a chat template.
        prompts: users' texts.
        chat: how they are rendered.
        names: what an error says of each prompt, e.g. its id and language.

    Raises:
        ModelError: the template fails on a prompt.
    """
    names = names or [""] * len(prompts)
    return [
        render_prompt(tokenizer, prompt, chat, name)
        for prompt, name in zip(prompts, names, strict=True)
    ]


def prompt_name(row: "Prompt") -> str:
    """Return how errors name a prompt: by id and language, never by its text."""
    return f"prompt {row.id} ({row.language})"


def render_prompt(
    tokenizer: "PreTrainedTokenizerBase", prompt: str, chat: ChatFormat, where: str = ""
) -> list[int]:
    """Return the token ids of one prompt as a user turn, assistant's turn opened.

    Args:
        tokenizer: with a chat template.
        prompt: the user's text.
        chat: how it is rendered.
        where: what an error says of the prompt, e.g. its id and language.

    Raises:
        ModelError: the template fails on it.
    """
    text = _text(tokenizer, prompt, dict(chat.switches), chat.system_prompt, where)
    return _tokens(tokenizer, text)


def _switches(template: str | dict[str, str]) -> dict[str, Any]:
    """Return the switches among the variables that a template reads."""
    from jinja2 import meta

    names: set[str] = set()
    for text in template.values() if isinstance(template, dict) else [template]:
        tree = parse_template(text)
        if tree is not None:
            names |= meta.find_undeclared_variables(tree)
        else:  # tags that are not jinja2's, or a fault that rendering reports
            names |= set(re.findall(r"(?<![\w.'\"])[a-z_]+\b", text))
    return {name: off for name, off in SWITCHES.items() if name in names}


def _common_end(
    tokenizer: "PreTrainedTokenizerBase", first: list[int], second: list[int]
) -> tuple[int, ...]:
    if first == second:
        raise ModelError(
            f"{tokenizer.name_or_path}: the chat template leaves the user's text out.",
            "It must print message['content'], a string; pass another with --chat-template FILE.",
        )
    span: list[int] = []
    for a, b in zip(reversed(first), reversed(second), strict=False):
        if a != b:
            break
        span.insert(0, a)
    if not span:
        raise ModelError(
            f"{tokenizer.name_or_path}: the chat template puts nothing after the user's text.",
            "It must end the turn or open the assistant's; pass another with --chat-template FILE.",
        )
    return tuple(span)


def _text(
    tokenizer: "PreTrainedTokenizerBase",
    prompt: str,
    switches: dict[str, Any],
    system_prompt: str | None,
    where: str = "",
) -> str:
    turns = [{"role": "user", "content": prompt}]
    if system_prompt is not None:
        turns.insert(0, {"role": "system", "content": system_prompt})
    try:
        with limited():
            text = str(
                tokenizer.apply_chat_template(
                    turns, tokenize=False, add_generation_prompt=True, **switches
                )
            )
        if len(text) > LONGEST_TEXT + len(prompt):
            raise TemplateLimitError(f"it makes {len(text)} characters")
        return text
    except Exception as error:  # templates are programs and raise anything
        name = f"{tokenizer.name_or_path}: the chat template failed"
        with_system = " with a system prompt" if system_prompt is not None else ""
        raise ModelError(
            f"{name}{f' on {where}' if where else ''}{with_system} ({error}).",
            "Pass another with --chat-template FILE.",
        ) from error


def _tokens(tokenizer: "PreTrainedTokenizerBase", text: str) -> list[int]:
    return list(tokenizer(text, add_special_tokens=False)["input_ids"])


def pad_left(
    sequences: Sequence[Sequence[int]], pad_id: int, device: torch.device | str = "cpu"
) -> tuple[Tensor, Tensor]:
    """Return (input_ids, attention_mask), each (n, longest), padded on the left."""
    width = max(len(sequence) for sequence in sequences)
    ids = torch.full((len(sequences), width), pad_id)
    mask = torch.zeros((len(sequences), width), dtype=torch.long)
    for row, sequence in enumerate(sequences):
        ids[row, width - len(sequence) :] = torch.tensor(sequence)
        mask[row, width - len(sequence) :] = 1
    return ids.to(device), mask.to(device)


def position_ids(mask: Tensor) -> Tensor:
    """Return positions counted from each row's first real token; padding stands at 0."""
    return (mask.cumsum(dim=-1) - 1).clamp_min(0)
