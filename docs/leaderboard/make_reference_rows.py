"""Make the leaderboard's file of published figures from the release's evaluation results.

    python docs/leaderboard/make_reference_rows.py reference_results.csv

The CSV has one line a model, language and condition (model, language, condition,
direction_language, wildguard_compliance, wildguard_response_harmful, english_substring_compliance,
n_prompts). What is written are the released figures of arXiv 2505.17306, with their source; nothing
is computed.
"""

import csv
import sys
from pathlib import Path

TARGET = (
    Path(__file__).parents[2] / "evaluation/polyrefuse_evaluation/leaderboard/reference_rows.toml"
)

SOURCE = '''# Released figures of arXiv 2505.17306: reported, not reproduced. Made by
# docs/leaderboard/make_reference_rows.py from the release's own evaluation files.
[source]
title = "Refusal Direction is Universal Across Safety-Aligned Languages"
authors = "Xinpeng Wang, Mingyang Wang, Yihong Liu, Hinrich Schütze, Barbara Plank"
venue = "NeurIPS 2025"
arxiv = "2505.17306"
url = "https://arxiv.org/abs/2505.17306"
code = "https://github.com/mainlp/Multilingual-Refusal"
commit = "985169d"
licence = "Apache-2.0"
judge = "WildGuard on the response translated into English"
decoding = "greedy, 512 new tokens"
bibtex = """
@inproceedings{wang2025refusal,
  title = {Refusal Direction is Universal Across Safety-Aligned Languages},
  author = {Wang, Xinpeng and Wang, Mingyang and Liu, Yihong and Sch{\\\\"u}tze, Hinrich and
            Plank, Barbara},
  booktitle = {Advances in Neural Information Processing Systems},
  year = {2025},
  eprint = {2505.17306},
  archivePrefix = {arXiv}
}
"""
'''


def main() -> None:
    """Write the file from the CSV named on the command line."""
    with Path(sys.argv[1]).open(encoding="utf-8", newline="") as stream:
        lines = list(csv.DictReader(stream))
    parts = [SOURCE]
    for line in lines:
        source = line["direction_language"]
        condition = f"ablate:{source}" if line["condition"] == "ablation" else line["condition"]
        parts.append(
            "[[rows]]\n"
            f'model = "{line["model"]}"\n'
            f'language = "{line["language"]}"\n'
            f'condition = "{condition}"\n'
            f"compliance = {float(line['wildguard_compliance'])}\n"
            f"harmful_response = {float(line['wildguard_response_harmful'])}\n"
            f"substring_compliance = {float(line['english_substring_compliance'])}\n"
            f"n = {int(line['n_prompts'])}\n"
        )
    TARGET.write_text("\n".join(parts), encoding="utf-8")
    print(f"Wrote {len(lines)} rows to {TARGET}.")  # noqa: T201


if __name__ == "__main__":
    main()
