"""The leaderboard: submissions that carry their evidence, and checks that anyone can repeat.

Reading order: `schema` and `labels` (what a submission is), `submission` (from a run directory to
one), `reading` (an untrusted folder to bytes), `verify` with its checks (`check_text`,
`check_numbers`, `check_labels`, `check_prompts`, `check_judges`, `recompute`, `duplicates`),
`rescore` and `regenerate` (ask the model again), `summary` (what CI shows), `ranks`, `columns` and
`board` (what a page shows), `reference` (published figures), `eval_results`, `model_card` and
`pull_request` (the Hub). Verifying without ``--rescore`` needs no torch.
"""
