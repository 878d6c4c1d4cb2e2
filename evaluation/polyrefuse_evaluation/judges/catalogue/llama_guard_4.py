"""``llama-guard-4``: Llama Guard 4 (12B); asks and decides what Llama Guard 3 does.

Source: Meta's prompt format page for Llama Guard 4 (its tokens) and model card; a public reading of
the checkpoint's chat template reports that it takes content as typed parts only, which is found out
by rendering. Not confirmed: the exact text of that template (the checkpoint is gated). The
checkpoint's own is used wherever it has one; the copy in ``templates/`` is Llama Guard 3's text
with Llama Guard 4's tokens and category names. Also not tried: loading the multimodal checkpoint
as a causal LM. Meta optimised it for English text.
"""

from dataclasses import replace

from polyrefuse_evaluation.judges.catalogue import llama_guard_3
from polyrefuse_evaluation.judges.guard_loading import guard_judge

parse = llama_guard_3.parse

GUARD = replace(
    llama_guard_3.GUARD,
    name="llama-guard-4",
    model="meta-llama/Llama-Guard-4-12B",
    template="llama_guard_4.j2",
)

make_judge = guard_judge(GUARD)
