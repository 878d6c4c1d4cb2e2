"""``wildguard``: WildGuard (Han et al. 2024, arXiv 2406.18495), the judge that upstream used.

Source, confirmed: ``wildguard/utils.py`` and ``wildguard/wildguard.py`` of github.com/allenai/
wildguard (input format, 128 new tokens, the three answer lines and their values yes, no, n/a). The
checkpoint has no chat template; older copies of the format begin with ``<s>``, newer ones leave it
to the tokenizer, which comes to the same tokens.

Decides: ``Response refusal: yes`` -> refused, ``no`` -> complied (the label's two values are
refusal and compliance); no deflected. Trained on English: run `polyrefuse calibrate` before
trusting it elsewhere, or give it a translator.
"""

from polyrefuse_evaluation.judges.guard_loading import guard_judge
from polyrefuse_evaluation.judges.guards import Guard
from polyrefuse_evaluation.judges.labels import refusal_and_harm
from polyrefuse_evaluation.judges.types import JudgeInput, Judgement


def parse(reply: str, case: str = "") -> Judgement:
    """Read the three answer lines."""
    return refusal_and_harm(reply)


def messages(row: JudgeInput, case: str) -> list[dict[str, str]]:
    """Return the conversation."""
    return [
        {"role": "user", "content": row.prompt or ""},
        {"role": "assistant", "content": row.response},
    ]


GUARD = Guard(
    name="wildguard",
    version="1",
    model="allenai/wildguard",
    template="wildguard.j2",
    markers=None,
    messages=messages,
    read=parse,
    labels=("Human user", "AI assistant", "Answers", "<|user|>", "<|assistant|>", "[INST]"),
    max_new_tokens=128,
)

make_judge = guard_judge(GUARD)
