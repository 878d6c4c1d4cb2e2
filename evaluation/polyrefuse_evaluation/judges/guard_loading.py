"""Loads a guard model through the project's own loader, with the template that belongs to it."""

import hashlib
from pathlib import Path

from polyrefuse.errors import PolyRefuseError
from polyrefuse_evaluation.judges.guards import BATCH_TOKENS, Guard, GuardModel
from polyrefuse_evaluation.judges.registry import JudgeFactory, RegisteredJudge

TEMPLATES = Path(__file__).parent / "templates"


def split_revision(argument: str | None, default: str) -> tuple[str, str | None]:
    """Split what follows a judge's name into model and revision.

    ``None`` is the default model, ``@REVISION`` a revision of it, ``MODEL@REVISION`` another model;
    a path that exists is never split.
    """
    if argument is None:
        return default, None
    if Path(argument).exists() or "@" not in argument:
        return argument, None
    model, revision = argument.rsplit("@", 1)
    if not revision:
        raise PolyRefuseError(
            f"the judge's model {argument!r} ends in '@' without a revision.", "Example: NAME@main."
        )
    return model or default, revision


def guard_judge(guard: Guard) -> JudgeFactory:
    """Return what makes a guard's judge: the ``make_judge`` of its file in `catalogue/`."""

    def make_judge(
        argument: str | None = None,
        *,
        device: str | None = None,
        dtype: str = "auto",
        batch_tokens: int = BATCH_TOKENS,
    ) -> RegisteredJudge:
        return load_guard(guard, argument, device=device, dtype=dtype, batch_tokens=batch_tokens)

    return make_judge


def load_guard(
    guard: Guard,
    argument: str | None,
    *,
    device: str | None = None,
    dtype: str = "auto",
    batch_tokens: int = BATCH_TOKENS,
) -> RegisteredJudge:
    """Load the model behind a guard and return the judge; the version names exact weights.

    Args:
        guard: the declaration.
        argument: what follows the judge's name; see `split_revision`.
        device: torch device; a CUDA device if there is one by default.
        dtype: torch dtype name, or ``auto`` for the checkpoint's own.
        batch_tokens: padded tokens a batch.

    Raises:
        ModelError: the model cannot be loaded, or its template leaves the conversation out.
    """
    from polyrefuse_evaluation.models import load_model

    name, revision = split_revision(argument, guard.model)
    # Guards need not have a chat template of their own, so the published one goes in first.
    published = TEMPLATES / guard.template
    loaded = load_model(
        name, revision=revision, dtype=dtype, device=device, chat_template=published
    )
    own = None if guard.markers is None else _own_template(name, revision)
    if own is not None and all(marker in own for marker in guard.markers or ()):
        loaded.tokenizer.chat_template = own
    digest = hashlib.sha256(str(loaded.tokenizer.chat_template).encode()).hexdigest()[:12]
    local = Path(name).exists()
    weights = loaded.weights_digest[:19] if local else f"{name}@{loaded.revision}"
    model = GuardModel(guard, loaded, batch_tokens)
    model.render_probe()
    version = f"{guard.version} {weights} template:{digest}"
    return RegisteredJudge(guard.name, version, model.judge)


def _own_template(name: str, revision: str | None) -> str | None:
    from transformers import AutoTokenizer

    template = AutoTokenizer.from_pretrained(
        name, revision=revision, trust_remote_code=False
    ).chat_template
    return template if isinstance(template, str) else None
