"""Two checkpoints that can be compared: the base model and what safety tuning made of it.

They are compared before any weights are read, and loaded one at a time: the base is freed before
the tuned model comes. Both read the same token ids, rendered with the tuned model's template.
"""

import gc
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from polyrefuse.errors import ModelError
from polyrefuse.plain_file import plain
from polyrefuse.prompts import Prompt
from polyrefuse_evaluation.chat import ChatFormat, find_chat_format, prompt_name, render
from polyrefuse_evaluation.input_files import (
    InputFiles,
    checkpoint_digest,
    checkpoint_files,
    watch,
)
from polyrefuse_evaluation.models import LoadedModel, load_model
from polyrefuse_evaluation.untrusted_checkpoint import loading_error

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Side = Literal["base", "tuned"]
SIDES: tuple[Side, ...] = ("base", "tuned")


@dataclass(frozen=True)
class CheckpointPair:
    """A base and a tuned checkpoint of one architecture.

    Attributes:
        names: what the user called base and tuned.
        tokenizer: the tuned model's, with the template that both sides are rendered with.
        chat: how that template renders a user turn.
        layers: number of blocks.
        hidden: width of the residual stream.
        load_options: passed to `load_model` for both sides.
        revisions: commit of each side on the Hub, or None.
        digests: sha256 of each side's checkpoint folder; None for one on the Hub.
        files: the files of both folders, as they were before they were read.
    """

    names: dict[Side, str]
    tokenizer: "PreTrainedTokenizerBase"
    chat: ChatFormat
    layers: int
    hidden: int
    load_options: dict[str, Any]
    revisions: dict[Side, str | None]
    digests: dict[Side, str | None]
    files: InputFiles

    def render(self, rows: Sequence[Prompt]) -> list[list[int]]:
        """Return the token ids of prompts, the same for both sides."""
        names = [prompt_name(row) for row in rows]
        return render(self.tokenizer, [row.prompt for row in rows], self.chat, names)

    @contextmanager
    def load(self, side: Side, template: Path) -> Iterator[LoadedModel]:
        """Load one side with the shared tokenizer; its memory is freed when the block ends.

        Args:
            side: ``base`` or ``tuned``.
            template: file with the template of both sides (a base model may have none).
        """
        loaded = load_model(
            _folder(self.names[side]),
            chat_template=template,
            revision=self.revisions[side],
            **self.load_options,
        )
        loaded.name = self.names[side]
        loaded.tokenizer = self.tokenizer
        try:
            yield loaded
        finally:
            vars(loaded).clear()  # whoever still holds it holds no weights
            gc.collect()
            _empty_device_cache()


def open_pair(
    base: str,
    tuned: str,
    *,
    chat_template: Path | None = None,
    base_revision: str | None = None,
    tuned_revision: str | None = None,
    **load_options: Any,
) -> CheckpointPair:
    """Read both configurations and tokenizers, and check that the two can be compared.

    Args:
        base: Hub id or folder of the base model, or ``planted:residual-base``.
        tuned: the same of the tuned model, or ``planted:residual``.
        chat_template: file with a template to use in place of the tuned model's.
        base_revision: commit or tag of the base model on the Hub.
        tuned_revision: the same of the tuned model.
        **load_options: passed to `load_model` (dtype, device, trust_remote_code).

    Raises:
        ModelError: a checkpoint cannot be read, there is no chat template, or the two differ in
            architecture, layers, width or vocabulary; says which.
    """
    trust = bool(load_options.get("trust_remote_code"))
    revisions: dict[Side, str | None] = {"base": base_revision, "tuned": tuned_revision}
    names: dict[Side, str] = {"base": base, "tuned": tuned}
    folders = {side: _folder(names[side]) for side in SIDES}
    files = watch(path for side in SIDES for path in checkpoint_files(folders[side]))
    configs = {side: _config(names[side], revisions[side], trust) for side in SIDES}
    _require_same(names, configs)
    tokenizers = {side: _tokenizer(names[side], revisions[side], trust) for side in SIDES}
    _require_same_tokens(names, tokenizers)
    tokenizer = tokenizers["tuned"]
    if chat_template is not None:
        tokenizer.chat_template = _read(chat_template)
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    text = configs["tuned"]
    return CheckpointPair(
        names,
        tokenizer,
        find_chat_format(tokenizer),
        int(text.num_hidden_layers),
        int(text.hidden_size),
        load_options,
        revisions,
        {side: checkpoint_digest(folders[side]) for side in SIDES},
        files,
    )


def _folder(name: str) -> str:
    """Return the folder of a planted checkpoint, and any other name as it is."""
    sides = {"planted:residual": "tuned", "planted:residual-base": "base"}
    if name in sides:
        from polyrefuse_evaluation.planted_residual import planted_residual_pair

        return str(planted_residual_pair().folder / sides[name])
    if name.split(":")[0] == "planted":
        raise ModelError(f"{name}: is no side of a planted pair.", f"Known: {', '.join(sides)}.")
    return name


def _config(name: str, revision: str | None, trust: bool) -> Any:
    from transformers import AutoConfig

    try:
        config = AutoConfig.from_pretrained(
            _folder(name), revision=revision, trust_remote_code=trust
        )
    except Exception as error:  # files of strangers: transformers raises anything
        raise loading_error(name, "its configuration", error) from error
    return config.get_text_config(decoder=True)


def _tokenizer(name: str, revision: str | None, trust: bool) -> "PreTrainedTokenizerBase":
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(
            _folder(name), revision=revision, trust_remote_code=trust, padding_side="left"
        )
    except Exception as error:
        raise loading_error(name, "its tokenizer", error) from error
    tokenizer.name_or_path = name
    return tokenizer


def _read(path: Path) -> str:
    try:
        return plain(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(
            f"{path}: the chat template cannot be read: {error}.", "It must be a UTF-8 text file."
        ) from error


def _require_same(names: dict[Side, str], configs: dict[Side, Any]) -> None:
    for field, what in (
        ("model_type", "architecture"),
        ("num_hidden_layers", "number of layers"),
        ("hidden_size", "width"),
        ("vocab_size", "vocabulary"),
    ):
        base, tuned = (getattr(configs[side], field, None) for side in SIDES)
        if base != tuned:
            raise ModelError(
                f"{names['base']} and {names['tuned']} differ in {what}: {base} and {tuned}.",
                "A shift can only be measured between a model and what was tuned from it.",
            )


def _require_same_tokens(names: dict[Side, str], tokenizers: dict[Side, Any]) -> None:
    """Tokens that both have must have the same id; each may have some that the other lacks."""
    base, tuned = (tokenizers[side].get_vocab() for side in SIDES)
    moved = sorted(token for token, index in tuned.items() if base.get(token, index) != index)
    if moved:
        token = moved[0]
        raise ModelError(
            f"{names['base']} and {names['tuned']} differ in vocabulary: {len(moved)} tokens have "
            f"other ids, the first {token!r} ({base[token]} and {tuned[token]}).",
            "A shift can only be measured between a model and what was tuned from it.",
        )


def _empty_device_cache() -> None:
    import torch

    if torch.cuda.is_available():
        torch.cuda.empty_cache()
