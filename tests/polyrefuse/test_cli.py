"""The command line: quick, quiet about its insides, one line for what the user can put right."""

import os
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

import pytest

from polyrefuse import check, cli
from polyrefuse.cli.common import needs_extra
from polyrefuse.errors import MissingExtraError, PolyRefuseError
from polyrefuse.folder import write_prompts
from polyrefuse.languages import LANGUAGES

HEAVY = ("torch", "transformers", "datasets", "polyrefuse_builders", "polyrefuse_evaluation")
PROBE = """
import sys
from polyrefuse.cli import main
sys.argv = ["polyrefuse", "--help"]
try:
    main()
except SystemExit as stop:
    assert not stop.code, stop.code
print("loaded:", *sorted({name.split(".")[0] for name in sys.modules}), file=sys.stderr)
"""


def loaded_by_help(code: str, root: Path) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root
    )
    assert "evaluate" in done.stdout
    return set(done.stderr.split("loaded:")[1].split())


def main_with(monkeypatch, *arguments: str) -> int:
    """Run `main` in this process; return the exit code."""
    monkeypatch.setattr(sys, "argv", ["polyrefuse", *arguments])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    return stop.value.code


def one_line(text: str) -> str:
    """Return the only line of `text`, which must be one of ours."""
    (line,) = text.splitlines()
    assert line.startswith("polyrefuse: ")
    assert "Traceback" not in line
    return line


def test_help_takes_less_than_half_a_second(run):
    seconds = []
    for _ in range(5):
        start = time.perf_counter()
        assert run("--help").returncode == 0
        seconds.append(time.perf_counter() - start)
    assert min(seconds) < 0.5


def test_help_imports_nothing_heavy(root):
    assert not loaded_by_help(PROBE, root) & set(HEAVY)


def test_the_probe_for_heavy_imports_can_fail(root):
    planted = PROBE.replace("import sys", "import sys, polyrefuse_builders")
    assert loaded_by_help(planted, root) & set(HEAVY) == {"polyrefuse_builders"}


def test_help_names_every_command_and_the_debug_option(run):
    text = run("--help").stdout
    for word in ("demo", "evaluate", "check", "report", "data", "build", "--version", "--debug"):
        assert word in text


def test_version_is_that_of_the_installed_package(run):
    assert run("--version").stdout == f"polyrefuse {version('polyrefuse')}\n"


def test_checking_the_packaged_sample_prints_a_row_per_language_and_exits_0(run):
    done = run("data", "check")
    assert (done.returncode, done.stderr) == (0, "")
    assert all(f"{code} {value.name}" in done.stdout for code, value in LANGUAGES.items())
    assert "2688 rows, 0 violations" in done.stdout


def test_checking_a_broken_folder_prints_every_violation_on_a_line_and_exits_1(
    run, tmp_path, make_row
):
    rows = [make_row(code, number) for code in ("de", "en") for number in range(9)]
    rows = [*rows[:4], make_row("en", 1), make_row("de", 7, prompt=" " * 3), *rows[9:]]
    write_prompts(tmp_path, rows)
    (tmp_path / "README.md").write_text("card")
    done = run("data", "check", tmp_path)
    assert done.returncode == 1
    report = check.check_folder(tmp_path)
    assert {v.kind for v in report.unlisted} == {"missing", "empty", "duplicate_id"}
    listed = [line for line in done.stdout.splitlines() if line.startswith("violated ")]
    assert listed == [f"violated {violation}" for violation in report.unlisted]
    said = one_line(done.stderr)
    assert f"violations not listed in errata.jsonl: {len(report.unlisted)}" in said
    assert str(report.unlisted[0]) in said


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["data", "check", "nowhere"], "nowhere: no such dataset folder. Name a folder"),
        (["data", "check", "tests"], "tests: README.md is missing"),
        (["data", "check", "a" * 300], "File name too long"),
        (["data", "export", "pyproject.toml"], "pyproject.toml: is a file"),
        (["data", "export", "builders"], "builders: exists and is not empty. Name a new folder."),
        (["data", "export", "/proc/out"], "/proc/out: cannot be written"),
    ],
)
def test_bad_input_is_one_line_on_stderr_and_exits_2(run, arguments, words):
    done = run(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert words in one_line(done.stderr)


def test_any_dataset_folder_can_be_exported_and_then_checked(run, small_folder, tmp_path):
    done = run("data", "export", tmp_path / "out", "--dataset", small_folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("Wrote 12 rows.")
    assert run("data", "check", tmp_path / "out").returncode == 0


def test_a_dataset_with_an_unlisted_violation_is_not_exported_and_exits_1(
    run, small_folder, tmp_path
):
    (small_folder / "data" / "de" / "test.jsonl").unlink()
    done = run("data", "export", tmp_path / "out", "--dataset", small_folder)
    assert (done.returncode, done.stdout) == (1, "")
    assert "violations not listed in errata.jsonl: 2; the first: missing" in one_line(done.stderr)
    assert not (tmp_path / "out").exists()


def test_a_broken_line_is_named_by_file_and_line(run, small_folder):
    path = small_folder / "data" / "en" / "test.jsonl"
    path.write_bytes(b"\xff\n")
    done = run("data", "check", small_folder)
    assert done.returncode == 2
    assert f"{path}, line 1: byte 1 is not UTF-8" in one_line(done.stderr)


@pytest.mark.parametrize("arguments", [["--debug", "data", "check"], ["data", "check", "--debug"]])
def test_debug_shows_the_traceback_wherever_it_stands(run, arguments):
    done = run(*arguments, "nowhere")
    assert done.returncode != 0
    assert done.stderr.startswith("Traceback")
    assert "DatasetError: nowhere: no such dataset folder" in done.stderr


def test_debug_changes_nothing_where_all_is_well(run):
    done = run("data", "check", "--debug")
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    "arguments", [["--no-such-option"], ["data", "check", "--no-such-option"], ["no-such-command"]]
)
def test_an_unknown_option_or_command_exits_2_without_traceback(run, arguments):
    done = run(*arguments)
    assert done.returncode == 2
    assert "No such" in done.stderr
    assert "Traceback" not in done.stderr


def test_control_characters_in_an_error_are_made_visible(run):
    done = run("data", "check", "a\x1b[31mb\nc\u202ed\x07")
    line = one_line(done.stderr)
    assert "a\ufffd[31mb c\ufffdd\ufffd: no such dataset folder" in line


def test_control_characters_and_markup_in_a_violation_are_shown_as_text(run, tmp_path, make_row):
    write_prompts(tmp_path, [make_row(id="[bold]x\x1b[2J\n[/]y", prompt="")])
    (tmp_path / "README.md").write_text("card")
    done = run("data", "check", tmp_path)
    assert done.returncode == 1
    assert "id [bold]x\ufffd[2J [/]y: prompt is empty" in done.stdout
    assert "\x1b" not in done.stdout + done.stderr


def test_exporting_prints_where_and_how_to_load_it(run, tmp_path):
    done = run("data", "export", tmp_path / "out")
    assert (done.returncode, done.stderr) == (0, "")
    assert f"load_dataset({str(tmp_path / 'out')!r}, 'de')" in done.stdout
    assert run("data", "check", tmp_path / "out").returncode == 0


@pytest.mark.parametrize("arguments", [["data", "check"], ["--help"], ["--version"]])
def test_an_output_that_is_full_is_one_line_and_exits_2(run, arguments):
    with Path("/dev/full").open("w") as full:
        done = run(*arguments, stdout=full)
    assert done.returncode == 2
    assert "No space left on device" in one_line(done.stderr)


def test_a_reader_that_leaves_early_gets_no_traceback(run):
    read, write = os.pipe()
    os.close(read)
    done = run("data", "check", stdout=write)
    os.close(write)
    assert (done.returncode, done.stderr) == (1, "")


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
@pytest.mark.parametrize(("arguments", "code"), [("data check", 0), ("data check nowhere", 2)])
def test_closed_streams_change_nothing_else(root, closed, arguments, code):
    command = f"exec {sys.executable} -m polyrefuse {arguments} {closed}"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, cwd=root)
    assert done.returncode == code
    assert "Traceback" not in done.stderr
    assert bool(done.stdout) == (">&-" not in closed.replace("2>&-", "") and not code)
    assert bool(done.stderr) == ("2>&-" not in closed and bool(code))


def test_a_closed_stream_is_no_file_that_is_opened_later(root, tmp_path):
    command = f"exec {sys.executable} -m polyrefuse data export {tmp_path / 'out'} <&- >&- 2>&-"
    subprocess.run(["sh", "-c", command], cwd=root, check=True)
    assert check.check_folder(tmp_path / "out").ok


def test_what_an_output_cannot_encode_is_escaped(run, tmp_path):
    done = run("data", "export", tmp_path / "日本", env={"PYTHONIOENCODING": "latin-1"})
    assert (done.returncode, done.stderr) == (0, "")
    assert r"\u65e5\u672c" in done.stdout


def interrupt(*arguments, **options):
    raise KeyboardInterrupt


@pytest.mark.parametrize("where", ["in a command", "before a command"])
def test_ctrl_c_says_so_in_one_line_and_exits_130(monkeypatch, capsys, where):
    if where == "in a command":
        monkeypatch.setattr(check, "check_folder", interrupt)
    else:
        monkeypatch.setattr(cli, "app", interrupt)
    assert main_with(monkeypatch, "data", "check") == 130
    assert "interrupted" in one_line(capsys.readouterr().err)


def test_a_fault_of_our_own_is_one_line_that_says_how_to_see_more_and_exits_1(monkeypatch, capsys):
    def broken(folder, advance):
        raise ZeroDivisionError("divided\nby zero")

    monkeypatch.setattr(check, "check_folder", broken)
    assert main_with(monkeypatch, "data", "check") == cli.UNEXPECTED == 1
    said = one_line(capsys.readouterr().err)
    assert "unexpected error, a bug: ZeroDivisionError: divided (polyrefuse.cli.data:" in said
    assert "--debug" in said
    for arguments in (["--debug", "data", "check"], ["data", "check", "--debug"]):
        assert main_with(monkeypatch, *arguments) == cli.UNEXPECTED
        said = capsys.readouterr().err
        assert "Traceback" in said
        assert said.rstrip().endswith("ZeroDivisionError: divided\nby zero")


@pytest.mark.parametrize(
    ("arguments", "package", "extra"),
    [
        (["build", "run", "x", "--out", "y"], "tenacity", "builders"),
        (["report", "x"], "jinja2", "evaluation"),
        (["check", "x"], "torch", "evaluation"),
    ],
)
def test_a_missing_extra_is_named_with_the_command_that_installs_it(
    root, arguments, package, extra
):
    program = (
        f"import sys; sys.modules[{package!r}] = None; sys.argv = ['polyrefuse', *{arguments!r}]\n"
        "from polyrefuse.cli import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=root, capture_output=True, text=True, check=False
    )
    assert done.returncode == MissingExtraError.exit_code == 2
    assert f"pip install 'polyrefuse[{extra}]'" in one_line(done.stderr)


def test_a_module_of_our_own_that_is_missing_is_no_missing_extra():
    with pytest.raises(ModuleNotFoundError), needs_extra("builders"):
        import polyrefuse_builders.no_such_module  # noqa: F401


@pytest.mark.parametrize(
    ("model", "folder"),
    [
        ("planted", "planted"),
        ("planted:two", "planted-two"),
        ("org/Model-7B.v1", "org-Model-7B.v1"),
        ("../../etc/passwd", "etc-passwd"),
        ("/", "model"),
        ("a\nb\x1b", "a-b-"),
    ],
)
def test_the_default_run_directory_is_a_plain_name_under_runs(model, folder):
    assert cli.evaluation.default_run_directory(model) == Path("runs") / folder


def test_refusal_token_ids_are_read_or_refused():
    assert cli.evaluation._parse_ids(None) is None
    assert cli.evaluation._parse_ids("40, 2121") == (40, 2121)
    for text in ("", "a", "4.5", "-1", "40;41"):
        with pytest.raises(PolyRefuseError, match="--refusal-tokens"):
            cli.evaluation._parse_ids(text)
