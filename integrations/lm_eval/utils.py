"""Functions that the YAML files of this folder name; they live in the polyrefuse package."""

from polyrefuse_evaluation.integrations.lm_eval_task import (
    judge_doc,
    label_of,
    load_docs,
    prompt_of,
)

__all__ = ["judge_doc", "label_of", "load_docs", "prompt_of"]
