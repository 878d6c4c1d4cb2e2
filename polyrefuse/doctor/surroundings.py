"""Python, how PolyRefuse is installed, terminal, clock, tokens, settings, and programs of tests."""

import json
import os
import shutil
import sys
import time
from collections.abc import Iterator, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from polyrefuse.doctor.finding import Finding

OLDEST_PYTHON = (3, 11)
PACKAGE = Path(__file__).parents[1]
TOKENS = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")
KEYS = ("OPENAI_API_KEY", "DEEPL_API_KEY", "LIBRE_API_KEY")
OFFLINE = ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "TRANSFORMERS_OFFLINE")
PROGRAMS = {
    "chromium": ("tests of the leaderboard's pages", "chromium chromium-driver"),
    "chromedriver": ("tests of the leaderboard's pages", "chromium chromium-driver"),
    "apertium": ("tests of translation, and the engine 'apertium'", "apertium-eng-spa"),
}
"""Program -> what needs it, and its Debian packages."""


def examine_python() -> Iterator[Finding]:
    """Say which Python runs."""
    version = ".".join(map(str, sys.version_info[:3]))
    detail = f"{version} ({sys.executable})"
    if sys.version_info[:2] < OLDEST_PYTHON:
        yield Finding("Python", "problem", detail, "Use Python 3.11 or later.")
    else:
        yield Finding("Python", "ok", detail)


def examine_installation(package: Path = PACKAGE) -> Iterator[Finding]:
    """Say how PolyRefuse is installed, and whether that is the code which runs."""
    from polyrefuse import __version__

    try:
        found = metadata.distribution("polyrefuse")
    except metadata.PackageNotFoundError:
        detail = f"not installed; this runs from {package.parent}"
        remedy = "Run: pip install -e '.[all]' there."
        yield Finding("polyrefuse", "warning", detail, remedy)
        return
    source = _direct_source(found)
    if source is None:
        yield Finding("polyrefuse", "ok", f"{__version__}, installed as a wheel in {package}")
    elif package.is_relative_to(source):
        yield Finding("polyrefuse", "ok", f"{__version__}, editable from {source}")
    else:
        yield Finding(
            "polyrefuse",
            "warning",
            f"{__version__} is installed from {source}, and what runs is {package}",
            "Unset PYTHONPATH, or install the checkout that you mean.",
        )


def _direct_source(found: metadata.Distribution) -> Path | None:
    """Return the folder of an editable installation."""
    try:
        about: Any = json.loads(found.read_text("direct_url.json") or "{}")
    except ValueError:
        return None
    if not about.get("dir_info", {}).get("editable"):
        return None
    return Path(unquote(urlsplit(about.get("url", "")).path))


def examine_terminal(environment: Mapping[str, str]) -> Iterator[Finding]:
    """Say whether text in 14 languages can be printed and named in files."""
    spoken = {"file names": sys.getfilesystemencoding()}
    if encoding := getattr(sys.stdout, "encoding", None):  # none in memory, and without a stream
        spoken = {"standard output": encoding, **spoken}
    other = [f"{name}: {x}" for name, x in spoken.items() if x.lower().replace("-", "") != "utf8"]
    named = environment.get("LC_ALL") or environment.get("LC_CTYPE") or environment.get("LANG")
    if other:
        remedy = "Set LANG=C.UTF-8 or PYTHONUTF8=1; what is not ASCII is lost in tables otherwise."
        yield Finding("text", "warning", f"not UTF-8 ({', '.join(other)}; {named})", remedy)
    else:
        yield Finding("text", "ok", f"UTF-8 (locale {named or 'not set'})")


def examine_clock(package: Path = PACKAGE, now: float | None = None) -> Iterator[Finding]:
    """Say whether the clock can be right: not before the files of this package were written."""
    now = time.time() if now is None else now
    newest = max(path.stat().st_mtime for path in package.glob("*.py"))
    shown = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(now))
    if now < newest - 86_400:
        remedy = "Set the clock: certificates and dates in records depend on it."
        yield Finding("clock", "warning", f"{shown}, before this was installed", remedy)
    else:
        yield Finding("clock", "ok", shown)


def examine_tokens(environment: Mapping[str, str]) -> Iterator[Finding]:
    """Say which tokens are there, never what they are."""
    said = [f"Hub: {_hub_token(environment)}"]
    said += [f"{name}: {'set' if environment.get(name) else 'not set'}" for name in KEYS]
    yield Finding("tokens", "ok", "; ".join(said))


def _hub_token(environment: Mapping[str, str]) -> str:
    for name in TOKENS:
        if environment.get(name):
            return f"in {name}"
    home = environment.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    folder = Path(environment.get("HF_HOME") or Path(home) / "huggingface").expanduser()
    file = Path(environment.get("HF_TOKEN_PATH") or folder / "token").expanduser()
    try:
        return f"in {file}" if file.stat().st_size else "none"
    except OSError:
        return "none (only gated or private repositories need one)"


def examine_settings(environment: Mapping[str, str]) -> Iterator[Finding]:
    """Say which settings of the Hugging Face libraries are made by environment variables."""
    from polyrefuse.redaction import redact

    names = sorted(name for name in environment if name.startswith("HF_") and name not in TOKENS)
    shown = [f"{name}={redact(environment[name])}" for name in names if "TOKEN" not in name]
    offline = [
        name for name in OFFLINE if environment.get(name, "0").upper() in ("1", "TRUE", "ON", "YES")
    ]
    if offline:
        detail = f"offline by {', '.join(offline)}"
        remedy = "What is not cached cannot be loaded; unset it to use the Hub."
        yield Finding("Hub settings", "warning", "; ".join([detail, *shown]), remedy)
    else:
        yield Finding("Hub settings", "ok", "; ".join(shown) or "none")


def examine_programs(package: Path = PACKAGE) -> Iterator[Finding]:
    """Say whether the programs are there that only some tests need, where there are tests."""
    if not (package.parent / "tests").is_dir():
        return
    for program, (use, packages) in PROGRAMS.items():
        path = shutil.which(program)
        if path is None:
            remedy = f"Run: apt-get install {packages}"
            yield Finding(program, "warning", f"not found on PATH; needed for {use}", remedy)
        else:
            yield Finding(program, "ok", path)


def environment() -> dict[str, str]:
    """Return the environment variables."""
    return dict(os.environ)
