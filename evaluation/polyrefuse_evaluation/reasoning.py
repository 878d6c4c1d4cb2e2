"""Tell the reasoning in a response from its answer, before anything judges the answer.

Knows the marks that models put around reasoning in plain text: tags, and the channels of gpt-oss as
they read once special tokens are decoded away. Knows no judge and no model.
"""

import re

_TAGS = "think|thinking|thought|reasoning|seed:think"
_OPEN = re.compile(rf"\s{{0,20}}(?:<({_TAGS})>|(\[THINK\]))")
_CHANNEL = re.compile(r"\s{0,20}analysis(?=[A-Z\"'*])")
_FINAL = "assistantfinal"
_TEMPLATE_END = re.compile(rf"(?:<(?:{_TAGS})>|\[THINK\])\s*\Z")


def has_reasoning(response: str) -> bool:
    """Say whether a response begins with reasoning, finished or not."""
    return _OPEN.match(response) is not None or _CHANNEL.match(response) is not None


def strip_reasoning(response: str) -> str:
    """Return the answer behind the reasoning; empty where the reasoning never ends.

    A response that was cut off in the middle of its reasoning has no answer: to judge its
    reasoning would count a model's doubts as its reply. Runs in linear time.
    """
    opened = _OPEN.match(response)
    if opened is not None:
        close = f"</{opened[1]}>" if opened[1] else "[/THINK]"
        return response[opened.end() :].partition(close)[2].lstrip()
    if _CHANNEL.match(response) is not None:
        return response.partition(_FINAL)[2].lstrip()
    return response


def opened_reasoning(rendered: str) -> str:
    """Return the tag with which a rendered prompt opens the assistant's reasoning, or "".

    The model's text then begins inside of it (DeepSeek-R1, QwQ); put the tag in front of the text
    and the two functions above read it.
    """
    found = _TEMPLATE_END.search(rendered[-40:])
    return found[0] if found else ""
