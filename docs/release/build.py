"""Build wheel and sdist so that anybody who builds the same commit gets the same bytes.

What is built is a copy of the files that git tracks, never the folder itself: a stale ``build/``, a
cache or a file that was never committed cannot get in. Times come from the last commit, modes are
0644 or 0755, and the sdist's archive is written again in a fixed order and without owners, which
setuptools does not do. The bytes still depend on the versions of setuptools and build: the lock's.
"""

import argparse
import gzip
import hashlib
import io
import os
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from rich.console import Console

from docs.release.requirements import ROOT


def tracked_files(root: Path) -> list[str]:
    """Return the paths of the files that git tracks and that exist, sorted."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=root, check=True, capture_output=True, text=True
    ).stdout.split("\0")
    return sorted(name for name in listed if name and (root / name).is_file())


def commit_time(root: Path) -> int:
    """Return the time of the last commit, in seconds since 1970."""
    command = ["git", "log", "-1", "--format=%ct"]
    return int(subprocess.run(command, cwd=root, check=True, capture_output=True).stdout)


def copy_tracked(root: Path, into: Path, epoch: int) -> None:
    """Copy the tracked files of a repository, each with the same time and a plain mode."""
    for name in tracked_files(root):
        if (root / name).is_symlink():
            continue
        target = into / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes((root / name).read_bytes())
        target.chmod(0o755 if os.access(root / name, os.X_OK) else 0o644)
        os.utime(target, (epoch, epoch))


def normalise_sdist(path: Path, epoch: int) -> None:
    """Write a ``.tar.gz`` again: sorted, one time, no owners, plain modes."""
    with tarfile.open(path) as archive:
        members = sorted((m for m in archive if m.isfile()), key=lambda member: member.name)
        contents = [(m, archive.extractfile(m)) for m in members]
        plain = io.BytesIO()
        with tarfile.open(fileobj=plain, mode="w", format=tarfile.PAX_FORMAT) as written:
            for member, content in contents:
                again = tarfile.TarInfo(member.name)
                again.size, again.mtime = member.size, epoch
                again.mode = 0o755 if member.mode & 0o100 else 0o644
                written.addfile(again, content)
    path.write_bytes(gzip.compress(plain.getvalue(), mtime=epoch))


def build(root: Path, out: Path, *, epoch: int | None = None) -> tuple[Path, Path]:
    """Build wheel and sdist of the tracked files of `root` into the folder `out`; return both.

    Raises:
        subprocess.CalledProcessError: a build failed; its output is in the error.
    """
    epoch = commit_time(root) if epoch is None else epoch
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "source"
        copy_tracked(root, copy, epoch)
        subprocess.run(
            [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(copy)],
            check=True,
            capture_output=True,
            text=True,
            env={**os.environ, "SOURCE_DATE_EPOCH": str(epoch)},
            umask=0o022,
        )
    (wheel,) = out.glob("*.whl")
    (sdist,) = out.glob("*.tar.gz")
    normalise_sdist(sdist, epoch)
    return wheel, sdist


def sha256(path: Path) -> str:
    """Return the SHA-256 digest of a file, in hexadecimal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def main() -> int:
    """Build into a folder and print the digests."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--out", type=Path, default=ROOT / "dist")
    for path in build(ROOT, parser.parse_args().out):
        Console(highlight=False).print(f"{sha256(path)}  {path.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
