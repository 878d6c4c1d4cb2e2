"""A process that has imported everything once and forks a child for each command.

Started by `children.Children`. Reads JSON lines from stdin (``start`` or ``wait``), answers on the
descriptor that was stdout. It has one thread, so each child is a real process in a clean state, to
be killed for real; only the seconds of importing torch are saved.
"""

import contextlib
import gc
import importlib
import io
import json
import os
import pkgutil
import resource
import signal
import sys
import threading
from pathlib import Path
from typing import Any

os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

from tests.faults import hooks

PACKAGES = ("polyrefuse", "polyrefuse_builders", "polyrefuse_evaluation")
LAZY = (
    "transformers.models.llama.modeling_llama",
    "transformers.generation.utils",
    "matplotlib.backends.backend_agg",
    "matplotlib.backends.backend_svg",
    "pyarrow.parquet",
    "scipy.stats",
    "sqlite3",
    "rich.progress",
)


def import_everything() -> None:
    for name in PACKAGES:
        package = importlib.import_module(name)
        for module in pkgutil.walk_packages(package.__path__, f"{name}."):
            if not module.name.endswith("__main__"):
                importlib.import_module(module.name)
    for name in LAZY:
        importlib.import_module(name)
    import torch
    from matplotlib import font_manager

    from polyrefuse_evaluation.judges import get_judge
    from polyrefuse_evaluation.judges.types import JudgeInput

    get_judge("keyword").judge([JudgeInput("en", "I cannot help.", "?", "?")])  # reads its tables
    torch.set_num_threads(1)
    font_manager.fontManager.findfont("DejaVu Sans")


def make_cheaper() -> None:
    """Leave out what takes seconds and decides nothing here.

    Language identification says nothing, a figure's file holds its title (the tables that figures
    are drawn from are compared), and a page's template is compiled once for all children.
    """
    import jinja2
    from matplotlib.figure import Figure

    from polyrefuse_evaluation.judges import response_language as module

    hooks.replace_everywhere(module.response_languages, lambda texts: [None for _ in texts])
    hooks.replace_everywhere(module.response_language, lambda text: None)
    Figure.savefig = lambda self, path, **about: Path(path).write_text(repr(about["metadata"]))
    compiled, known = jinja2.Environment.compile, {}

    def compile_once(self: Any, source: Any, *rest: Any, **named: Any) -> Any:
        key = (str(source), rest, tuple(named.items()))
        if key not in known:
            known[key] = compiled(self, source, *rest, **named)
        return known[key]

    jinja2.Environment.compile = compile_once


def warm_up(arguments: list[str], folder: str) -> None:
    """Run a command here once, so that what is loaded when first needed is there for all."""
    from polyrefuse.cli import main

    os.chdir(folder)
    sys.argv = ["polyrefuse", *arguments]
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            main()
    except SystemExit as ended:
        if ended.code:
            raise
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


def assert_alone() -> None:
    """No thread of ours: it would not be there after a fork. jemalloc's own sees to itself."""
    tasks = Path("/proc/self/task")
    names = [(task / "comm").read_text().strip() for task in tasks.iterdir()]
    assert len([name for name in names if name != "jemalloc_bg_thd"]) == 1, names


def serve() -> None:
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    import_everything()
    make_cheaper()
    assert threading.active_count() == 1
    assert_alone()
    print(json.dumps({"ready": os.getpid()}), file=answers, flush=True)
    while line := sys.stdin.readline():
        request = json.loads(line)
        if request["do"] == "warm":
            warm_up(request["arguments"], request["folder"])
            assert_alone()
            gc.collect()
            gc.freeze()
            answer = {}
        elif request["do"] == "wait":
            _, status, used = os.wait4(request["pid"], 0)
            processor = used.ru_utime + used.ru_stime
            answer = {"code": os.waitstatus_to_exitcode(status), "processor": processor}
        else:
            sys.stdout.flush()
            pid = os.fork()
            if pid == 0:
                answers.close()
                run(request)  # ends with SystemExit, as a command does
            answer = {"pid": pid}
        print(json.dumps(answer), file=answers, flush=True)


def run(request: dict) -> None:
    """Become the command: its own streams, folder, environment and faults."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for target, name in ((0, os.devnull), (1, request["stdout"]), (2, request["stderr"])):
        flags = os.O_RDONLY if target == 0 else os.O_WRONLY | os.O_CREAT | os.O_TRUNC
        opened = os.open(name, flags, 0o600)
        os.dup2(opened, target)
        os.close(opened)
    sys.stdin = open(0, closefd=False)  # noqa: SIM115 - the command's own
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    os.chdir(request["folder"])
    os.environ.update(request["environment"])
    sys.argv = ["polyrefuse", *request["arguments"]]
    hooks.install(request["fault"], Path(request["folder"]), Path(request["units"]))
    if limit := request["fault"].get("descriptors"):
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    from polyrefuse.cli import main

    main()


if __name__ == "__main__":
    serve()
