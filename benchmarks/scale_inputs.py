"""What `scale` measures on, made in processes of their own: memory of parents counts in children.

python -m benchmarks.scale_inputs submissions|prompts FOLDER SIZE
python -m benchmarks.scale_inputs browser SITE
"""

import sys
from pathlib import Path


def main() -> None:
    """Make submissions or prompts, or print what a site takes in a browser."""
    what, folder = sys.argv[1], Path(sys.argv[2])
    if what == "submissions":
        from benchmarks.synthetic_board import write_submissions

        write_submissions(folder, int(sys.argv[3]))
    elif what == "prompts":
        from benchmarks.many_prompts import write_many_prompts

        write_many_prompts(folder, int(sys.argv[3]))
    else:
        from benchmarks.site_browser import browser_times

        print(browser_times(folder))


if __name__ == "__main__":
    main()
