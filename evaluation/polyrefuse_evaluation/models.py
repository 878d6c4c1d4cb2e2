"""Load a causal LM and its tokenizer: a Hub id, a local folder, or the planted model.

The product is a `LoadedModel`; nothing else in the package loads weights.
"""

import hashlib
import inspect
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from polyrefuse.errors import ModelError
from polyrefuse.plain_file import plain
from polyrefuse_evaluation.chat import ChatFormat, find_chat_format, pad_left, position_ids
from polyrefuse_evaluation.decoder_layout import input_device, text_config
from polyrefuse_evaluation.input_files import InputFiles, checkpoint_files, watch
from polyrefuse_evaluation.placement import DeviceMap, is_placed, placement_options, weights
from polyrefuse_evaluation.residual_stream import ResidualStream, find_residual_stream
from polyrefuse_evaluation.untrusted_checkpoint import (
    loading_error,
    require_modest,
    require_safetensors,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from transformers import PreTrainedModel, PreTrainedTokenizerBase


@dataclass
class LoadedModel:
    """A model ready to be evaluated.

    Attributes:
        model: the transformers module, in eval mode.
        tokenizer: its tokenizer, with a padding token.
        name: as the user gave it.
        revision: commit of a Hub model, None for a folder.
        planted: ground truth of a planted model: variant and vectors (k, hidden) by name.
        system_prompt: text of the system turn before every prompt; None for none.
        files: the files of the checkpoint's folder, as they were before they were read.
    """

    model: "PreTrainedModel"
    tokenizer: "PreTrainedTokenizerBase"
    name: str
    revision: str | None = None
    planted_variant: str | None = None
    planted_vectors: dict[str, Tensor] = field(default_factory=dict)
    system_prompt: str | None = None
    files: InputFiles = field(default_factory=InputFiles)

    @cached_property
    def chat(self) -> ChatFormat:
        """How the chat template renders a user turn."""
        return find_chat_format(self.tokenizer, self.system_prompt)

    @cached_property
    def stream(self) -> ResidualStream:
        """The model's residual stream."""
        return find_residual_stream(self.model)

    @cached_property
    def weights_digest(self) -> str:
        """sha256 over names, shapes and bytes of all weights."""
        digest = hashlib.sha256()
        for name, tensor in weights(self.model):
            digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
            flat = tensor.cpu().contiguous().flatten()
            digest.update(flat.view(torch.uint8).numpy().tobytes())
        return "sha256:" + digest.hexdigest()

    @property
    def device(self) -> torch.device:
        """Device of the model's inputs."""
        return input_device(self.model)

    @property
    def pad_id(self) -> int:
        """Id of the padding token; what stands at padding never reaches an answer."""
        pad = self.tokenizer.pad_token_id
        return int(pad) if isinstance(pad, int) else 0

    @property
    def context_length(self) -> int | None:
        """Most tokens the model can read, or None where the configuration does not say."""
        return getattr(text_config(self.model), "max_position_embeddings", None)

    def inputs(self, sequences: "Sequence[Sequence[int]]") -> dict[str, Tensor]:
        """Return left-padded keyword arguments for a forward pass."""
        ids, mask = pad_left(sequences, self.pad_id, self.device)
        batch = {"input_ids": ids, "attention_mask": mask}
        if "position_ids" in inspect.signature(self.model.forward).parameters:
            batch["position_ids"] = position_ids(mask)
        return batch

    @torch.no_grad()
    def last_logits(self, sequences: "Sequence[Sequence[int]]") -> Tensor:
        """Return the logits at the last position, shape (n, vocabulary), float32."""
        output = self.model(**self.inputs(sequences), use_cache=False, logits_to_keep=1)
        return output.logits[:, -1].float()  # type: ignore[no-any-return]


def load_model(
    name: str,
    *,
    revision: str | None = None,
    dtype: str = "auto",
    device: str | None = None,
    trust_remote_code: bool = False,
    chat_template: Path | None = None,
    system_prompt: str | None = None,
    device_map: DeviceMap | None = None,
    quantization: str | None = None,
    offload_folder: Path | None = None,
    seed: int = 0,
) -> LoadedModel:
    """Load a causal LM with its tokenizer and check that it can be evaluated.

    Args:
        name: Hub id, local folder, or ``planted``, ``planted:two``, ``planted:none``,
            ``planted:base`` for the offline model with a known answer.
        revision: commit or tag of a Hub model.
        dtype: torch dtype name, or ``auto`` for the checkpoint's own.
        device: torch device; a CUDA device if there is one by default.
        trust_remote_code: run code that the checkpoint brings; off unless asked for.
        chat_template: file with a Jinja template to use in place of the tokenizer's.
        system_prompt: text of a system turn before every prompt; none by default.
        device_map: ``auto`` spreads the model over devices, then the CPU, then the disk; or a
            device by module name. In place of `device`.
        quantization: ``4bit`` or ``8bit`` (needs bitsandbytes).
        offload_folder: where weights that `device_map` sends to the disk go.
        seed: seed of a planted model; others ignore it.

    Raises:
        ModelError: not found, no tokenizer or chat template, one that does not fit the weights, not
            a decoder-only model, NaN weights, no such device, no bitsandbytes, or an option that a
            planted model does not have.
    """
    try:
        (system_prompt or "").encode("utf-8")
    except UnicodeEncodeError as error:
        raise ModelError(
            "--system-prompt is not UTF-8.", "Give it in UTF-8, from a terminal that is."
        ) from error
    if name.split(":")[0] == "planted":
        from polyrefuse_evaluation.planted import load_planted, require_planted_options

        require_planted_options(
            name,
            revision=revision,
            dtype=None if dtype in ("auto", "float32") else dtype,
            chat_template=chat_template,
            device_map=device_map,
            quantization=quantization,
            offload_folder=offload_folder,
        )
        planted = load_planted(name, seed=seed)
        planted.system_prompt = system_prompt
        planted.__dict__.pop("chat", None)  # rendered without it
        return planted
    files = watch(checkpoint_files(name))
    folder = None if offload_folder is None else str(offload_folder)
    placement = placement_options(name, device, device_map, quantization, folder)
    loaded = LoadedModel(
        _load_weights(name, revision, dtype, trust_remote_code, placement),
        _load_tokenizer(name, revision, trust_remote_code),
        name,
        revision,
        system_prompt=system_prompt,
        files=files,
    )
    loaded.revision = getattr(loaded.model.config, "_commit_hash", None) or revision
    if chat_template is not None:
        loaded.tokenizer.chat_template = _read_template(chat_template)
    if is_placed(loaded.model):
        loaded.model.train(False)
    else:
        _place(loaded, device or ("cuda" if torch.cuda.is_available() else "cpu"))
    _require_usable(loaded)
    return loaded


def _load_weights(
    name: str,
    revision: str | None,
    dtype: str,
    trust_remote_code: bool,
    placement: dict[str, Any],
) -> "PreTrainedModel":
    from transformers import AutoConfig, AutoModelForCausalLM

    options: dict[str, Any] = {"revision": revision, "trust_remote_code": trust_remote_code}
    try:
        config = AutoConfig.from_pretrained(name, **options)
    except Exception as error:
        raise loading_error(name, "its configuration", error) from error
    require_modest(name, config.get_text_config(decoder=True))
    require_safetensors(name)
    if getattr(config, "is_encoder_decoder", False):
        raise ModelError(
            f"{name}: {config.model_type} is an encoder-decoder model.",
            "Only decoder-only (causal) language models can be evaluated.",
        )
    if dtype != "auto" and not isinstance(getattr(torch, dtype, None), torch.dtype):
        raise ModelError(
            f"{name}: there is no dtype {dtype!r}.", "Use auto, bfloat16, float16 or float32."
        )
    try:
        loading: Any = AutoModelForCausalLM.from_pretrained(
            name,
            dtype=dtype,
            config=config,
            use_safetensors=True,
            output_loading_info=True,
            **options,
            **placement,
        )
    except Exception as error:
        raise loading_error(name, "its weights", error) from error
    model, report = loading
    missing = sorted(report["missing_keys"])
    if missing:  # transformers makes them up at random
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise ModelError(
            f"{name}: the checkpoint lacks {missing[0]}{more}.",
            "It is incomplete, or not a causal language model.",
        )
    return model  # type: ignore[no-any-return]


def _load_tokenizer(
    name: str, revision: str | None, trust_remote_code: bool
) -> "PreTrainedTokenizerBase":
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(
            name, revision=revision, trust_remote_code=trust_remote_code, padding_side="left"
        )
    except Exception as error:
        raise loading_error(name, "its tokenizer", error) from error
    if tokenizer is None or not len(tokenizer):
        raise ModelError(f"{name}: has no tokenizer.", "Save the tokenizer beside the weights.")
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def _read_template(path: Path) -> str:
    try:
        return plain(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(
            f"{path}: the chat template cannot be read: {error}.", "It must be a UTF-8 text file."
        ) from error


def _place(loaded: LoadedModel, device: str) -> None:
    model: torch.nn.Module = loaded.model
    try:
        model.to(device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).strip().splitlines()[0]
        raise ModelError(
            f"{loaded.name}: cannot be placed on device {device!r}: {reason}",
            "Name another with --device, or leave it out.",
        ) from error
    model.train(False)


def _require_usable(loaded: LoadedModel) -> None:
    vocabulary = int(text_config(loaded.model).vocab_size)
    largest = max(loaded.tokenizer.get_vocab().values())
    if largest >= vocabulary:
        raise ModelError(
            f"{loaded.name}: the tokenizer has ids up to {largest}, the model a vocabulary of "
            f"{vocabulary}.",
            "Load the tokenizer that belongs to these weights.",
        )
    parameters = {name for name, _ in loaded.model.named_parameters()}  # masks may be infinite
    for name, parameter in weights(loaded.model):
        if name in parameters and parameter.is_floating_point() and not parameter.isfinite().all():
            raise ModelError(
                f"{loaded.name}: {name} holds NaN or infinite weights.",
                "Download or convert the checkpoint again.",
            )
    _ = loaded.chat
