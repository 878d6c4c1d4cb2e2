"""transformers' sequence-to-sequence translators by model id: NLLB, MADLAD-400.

How a model is told the languages is found in its vocabulary, not in its name: ``deu_Latn`` tokens
(NLLB), or ``<2de>`` before the text (MADLAD). torch and transformers are imported, and the weights
loaded, when an engine is made. Generation is greedy or by beams, never sampled.
"""

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from polyrefuse.errors import MissingExtraError
from polyrefuse.languages import LANGUAGES
from polyrefuse_builders.translation.batching import Answer, Batcher
from polyrefuse_builders.translation.engine import EngineError, FailureKind, RejectedText

STYLES: dict[str, Callable[[str, str], str]] = {
    "nllb": lambda code, flores: flores,
    "madlad": lambda code, flores: f"<2{code}>",
}
"""Style -> token of a language, from its ISO 639-1 and FLORES codes."""


class Seq2SeqEngine:
    """A model that translates, on this machine; see `Engine` for the attributes."""

    name = "transformers"
    pairs = None
    max_characters = 8000
    requests_per_second = None

    def __init__(
        self,
        *,
        model: str,
        revision: str | None = None,
        device: str | None = None,
        dtype: str = "auto",
        batch_size: int = 16,
        beams: int = 4,
        max_new_tokens: int = 512,
        timeout_seconds: float = 900.0,
    ) -> None:
        """Load a model.

        Args:
            model: Hub id or local folder, e.g. ``facebook/nllb-200-distilled-600M``.
            revision: commit of a Hub model.
            device: torch device; the GPU where there is one.
            dtype: torch dtype; ``auto`` is what the checkpoint has.
            batch_size: texts at a time.
            beams: width of the beam search; 1 is greedy.
            max_new_tokens: an answer that is longer counts as truncated.
            timeout_seconds: how long one text may take, waiting for its batch included.

        Raises:
            EngineError: the model cannot be loaded, or knows none of our languages.
            MissingExtraError: torch or transformers is not installed.
        """
        self._torch, transformers = _import()
        try:
            self._tokenizer = transformers.AutoTokenizer.from_pretrained(
                model, revision=revision, trust_remote_code=False
            )
            self._model = transformers.AutoModelForSeq2SeqLM.from_pretrained(
                model,
                revision=revision,
                dtype=dtype,
                use_safetensors=True,  # the other formats are pickles
                trust_remote_code=False,
            )
        except Exception as error:  # files of strangers: transformers raises anything
            raise EngineError(
                f"engine 'transformers': {model!r} cannot be loaded ({type(error).__name__}).",
                "Name the id or folder of a translation model whose weights are safetensors; "
                "offline, download it first.",
            ) from error
        found = "cuda" if self._torch.cuda.is_available() else "cpu"
        self._model.to(device or found).eval()
        self._style, self.languages = _find_style(self._tokenizer, model)
        self._options = {"num_beams": beams, "do_sample": False, "max_new_tokens": max_new_tokens}
        commit = getattr(self._model.config, "_commit_hash", None) or _folder_digest(model)
        self.revision = f"{model}@{commit} beams={beams} max_new_tokens={max_new_tokens}"
        self.max_concurrency = 2 * batch_size
        self.timeout_seconds = timeout_seconds
        self._batcher = Batcher(self._translate_batch, batch_size)

    async def translate(self, text: str, source: str, target: str) -> str:
        """Return `text` in `target`; see `Engine.translate`."""
        return await self._batcher.submit(text, source, target)

    async def close(self) -> None:
        """Drop what waits for a batch; the model stays loaded."""
        await self._batcher.close()

    def _translate_batch(self, texts: Sequence[str], source: str, target: str) -> list[Answer]:
        """Translate texts together; where that fails (memory), one by one."""
        try:
            return self._generate(texts, self.languages[source], self.languages[target])
        except RuntimeError as error:
            if len(texts) == 1:
                reason = f"the model failed with {type(error).__name__}"
                return [RejectedText(FailureKind.ENGINE_ERROR, reason)]
        return [self._translate_batch([text], source, target)[0] for text in texts]

    def _generate(self, texts: Sequence[str], source: str, target: str) -> list[Answer]:
        options = dict(self._options)
        if self._style == "madlad":
            texts = [f"{target} {text}" for text in texts]
        else:
            self._tokenizer.src_lang = source
            options["forced_bos_token_id"] = self._tokenizer.convert_tokens_to_ids(target)
        inputs = self._tokenizer(list(texts), return_tensors="pt", padding=True)
        limit = self._input_limit()
        lengths = inputs["attention_mask"].sum(dim=1).tolist()
        if len(texts) > 1 and limit is not None and max(lengths) > limit:
            raise RuntimeError("one text is too long for the model")
        if limit is not None and max(lengths) > limit:
            reason = f"{lengths[0]} tokens; the model takes {limit}"
            return [RejectedText(FailureKind.TOO_LONG, reason)]
        inputs = inputs.to(self._model.device)
        with self._torch.inference_mode():
            generated = self._model.generate(**inputs, **options)
        return [self._read(tokens) for tokens in generated.tolist()]

    def _read(self, tokens: list[int]) -> Answer:
        """Return the text of one generated sequence, if it came to its end."""
        text: str = self._tokenizer.decode(tokens, skip_special_tokens=True).strip()
        if self._tokenizer.eos_token_id not in tokens[1:]:  # decoders may begin with it
            reason = "the model did not come to an end"
            return RejectedText(FailureKind.TRUNCATED, reason, text)
        return text

    def _input_limit(self) -> int | None:
        """Return the most tokens the model can read, or None where positions are relative."""
        limit = getattr(self._model.config, "max_position_embeddings", None)
        return int(limit) if limit else None


def _import() -> tuple[Any, Any]:
    try:
        import torch
        import transformers
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            f"engine 'transformers' needs the package {error.name!r}, which is not installed.",
            "Run: pip install 'polyrefuse[evaluation]'",
        ) from error
    return torch, transformers


def _find_style(tokenizer: Any, model: str) -> tuple[str, dict[str, str]]:
    """Return how the model is told languages, and the token of each of ours that it knows."""
    vocabulary = tokenizer.get_vocab()
    for style, token in STYLES.items():
        known = {
            code: token(code, language.flores)
            for code, language in LANGUAGES.items()
            if token(code, language.flores) in vocabulary
        }
        if style == "madlad" and known:
            known.setdefault("en", token("en", "eng_Latn"))  # as a source it needs no token
        if len(known) > 1:
            return style, known
    raise EngineError(
        f"engine 'transformers': {model!r} has no language tokens that are known here.",
        "Use an NLLB or MADLAD-400 model.",
    )


def _folder_digest(model: str) -> str:
    """Return a digest of a local model: names and sizes of its files, and the first MiB of each."""
    digest = hashlib.sha256()
    for path in sorted(Path(model).glob("*.*")):
        if path.is_file():
            with path.open("rb") as file:
                start = file.read(1 << 20)
            digest.update(f"{path.name} {path.stat().st_size}\n".encode() + start)
    return digest.hexdigest()[:12]
