"""Where people already evaluate: lm-evaluation-harness and Inspect.

`rows` gives either framework the prompts of an evaluation. `lm_eval_task` and `inspect_task` are
what their tasks call. `lm_eval_log` and `inspect_log` read the logs of such runs into one form
(`foreign_run`), and `import_run` makes a run directory of it, which can be submitted as any other.
"""
