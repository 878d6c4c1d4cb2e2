"""The prompts of the planted residual pair: harmless sample prompts with made-up words in them.

Nothing here is harmful. A made-up trigger word stands for harm, two others for framings that
suppress and half-suppress refusal, and a neutral one fills the places of those that are absent: so
prompts of all kinds are equally long, and only the words tell them apart.
"""

import random
from collections.abc import Sequence
from typing import Literal

from polyrefuse.prompts import LABELS, Label, Prompt, make_prompt_id

Framing = Literal["plain", "suppressing", "half-suppressing"]
FRAMINGS: tuple[Framing, ...] = ("plain", "suppressing", "half-suppressing")

WORDS: dict[str, tuple[str, str, str, str]] = {
    "ar": ("زرفيلون", "كملوتر", "طشبراع", "درنوسم"),
    "de": ("Mordwanz", "Flautrik", "Zelkhof", "Brunnzil"),
    "en": ("velkorin", "tambrelo", "quossidy", "brindalu"),
    "ru": ("кружвель", "мелтанок", "зивресто", "полдумник"),
    "th": ("ซอร์เวละ", "มุลตังเก", "พริกเซโด", "ดรันโนละ"),
    "zh": ("祚鑫珑", "澹槐笙", "霁珀棠", "沐蓁岚"),
}
"""Per language the trigger, the suppressing, the half-suppressing and the neutral word."""


def planted_prompts(sample: Sequence[Prompt]) -> list[Prompt]:
    """Return the prompts of the pair, parallel in the languages of `WORDS`.

    Each harmless sample prompt is a carrier of four: with and without the trigger word, plain and
    in one of the two framings. ``source_category`` names the framing, ``pair_id`` joins the harmful
    and the harmless one.

    Args:
        sample: prompts of the packaged sample; harmful ones are not used.
    """
    carriers = sorted(
        (row for row in sample if row.label == "harmless" and row.language in WORDS),
        key=lambda row: (row.id, row.language),
    )
    english = {row.id: _places(row) for row in carriers if row.language == "en"}
    number = {name: index for index, name in enumerate(sorted(english))}
    rows = []
    for carrier in carriers:
        marked = FRAMINGS[1 + number[carrier.id] % 2]
        for framing in ("plain", marked):
            for label in LABELS:
                rows.append(_prompt(carrier, english[carrier.id], framing, label))
    return rows


def carrier_of(row: Prompt) -> str:
    """Return the id of the sample prompt that carries the made-up words."""
    return row.source_id.partition(" ")[0]


def word_of(language: str, label: str, framing: str) -> tuple[str, str]:
    """Return the two made-up words of a prompt: harm or not, framing or none."""
    trigger, suppressing, half, neutral = WORDS[language]
    first = trigger if label == "harmful" else neutral
    return first, {"suppressing": suppressing, "half-suppressing": half}.get(framing, neutral)


def _prompt(
    carrier: Prompt, english: tuple[list[str], int, int], framing: Framing, label: Label
) -> Prompt:
    source_id = f"{carrier.id} {framing}"
    text = {name: _insert(english, word_of("en", name, framing)) for name in LABELS}
    ids = {name: make_prompt_id(name, "planted", source_id, text[name]) for name in LABELS}
    return carrier.model_copy(
        update={
            "id": ids[label],
            "label": label,
            "prompt": _insert(_places(carrier), word_of(carrier.language, label, framing)),
            "prompt_en": text[label],
            "source": "planted",
            "source_id": source_id,
            "source_category": framing,
            "category": None,
            "pair_id": ids["harmless" if label == "harmful" else "harmful"],
            "qa": [],
        }
    )


def _places(row: Prompt) -> tuple[list[str], int, int]:
    """Return the words of a carrier and the two gaps where the made-up words go.

    Seeded by prompt and language, so that all prompts on one carrier have the same gaps.
    """
    words = row.prompt.split(" ")
    seeded = random.Random(f"{row.id} {row.language}")
    return words, seeded.randint(0, len(words)), seeded.randint(0, len(words))


def _insert(places: tuple[list[str], int, int], made_up: tuple[str, str]) -> str:
    words, first, second = places
    result: list[str] = []
    for gap in range(len(words) + 1):
        result += [made_up[0]] * (gap == first) + [made_up[1]] * (gap == second)
        result += words[gap : gap + 1]
    return " ".join(result)
