"""Writing a dataset folder: whole or not at all, and never over a user's own files."""

import errno
import stat
from pathlib import Path

import pytest

from polyrefuse.errors import DatasetError
from polyrefuse.folder import read_errata, read_prompts
from polyrefuse.invariants import Erratum
from polyrefuse.prompts import Prompt
from polyrefuse_builders import write_folder
from polyrefuse_builders.write_folder import write_dataset_folder


def row(number: int, split: str = "train") -> Prompt:
    return Prompt.model_validate(
        {
            "id": f"id{number}",
            "language": "en",
            "label": "harmless",
            "prompt": f"Prompt {number}",
            "prompt_en": f"Prompt {number}",
            "source": "test",
            "source_id": str(number),
            "license": "CC-BY-4.0",
            "split": split,
            "translator": "source",
            "canary": "c",
        }
    )


OLD, NEW = [row(1), row(2)], [row(3, "test")]
ERRATA = [Erratum(kind="leak", ids=["id1"], detail="known")]


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_a_folder_is_written_and_reads_back(tmp_path):
    out = tmp_path / "deep" / "out"
    write_dataset_folder(out, OLD, ERRATA, "card", {"LICENSE": "text"})
    assert sorted(contents(out)) == ["LICENSE", "README.md", "data/en/train.jsonl", "errata.jsonl"]
    assert read_prompts(out) == OLD
    assert read_errata(out) == ERRATA
    assert list(out.parent.iterdir()) == [out]
    assert stat.S_IMODE(out.stat().st_mode) == stat.S_IMODE(out.parent.stat().st_mode)


def test_an_older_dataset_folder_is_replaced_with_nothing_left_over(tmp_path):
    out = tmp_path / "out"
    write_dataset_folder(out, OLD, ERRATA, "card", {"quarantine.jsonl": ""})
    write_dataset_folder(out, NEW, [], "new card")
    assert sorted(contents(out)) == ["README.md", "data/en/test.jsonl"]
    assert list(tmp_path.iterdir()) == [out]


def test_an_empty_folder_is_filled(tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    write_dataset_folder(out, OLD, [], "card")
    assert read_prompts(out) == OLD


@pytest.mark.parametrize(
    "foreign",
    ["thesis.tex", "data/en/notes.txt", "data/raw.csv", "data/xx/train.jsonl", ".git/config"],
)
def test_a_folder_with_a_users_files_is_refused_and_kept(tmp_path, foreign):
    out = tmp_path / "out"
    write_dataset_folder(out, OLD, [], "card")
    (out / foreign).parent.mkdir(parents=True, exist_ok=True)
    (out / foreign).write_text("mine")
    before = contents(out)
    with pytest.raises(DatasetError, match="not a dataset folder") as caught:
        write_dataset_folder(out, NEW, [], "card")
    assert foreign.split("/")[0] in str(caught.value)
    assert caught.value.remedy
    assert contents(out) == before


def test_a_folder_without_a_card_is_refused(tmp_path):
    out = tmp_path / "out"
    (out / "data" / "en").mkdir(parents=True)
    with pytest.raises(DatasetError, match="not a dataset folder"):
        write_dataset_folder(out, NEW, [], "card")


def test_a_file_is_refused(tmp_path):
    (tmp_path / "out").write_text("mine")
    with pytest.raises(DatasetError, match="is a file"):
        write_dataset_folder(tmp_path / "out", NEW, [], "card")
    with pytest.raises(DatasetError, match="cannot be written") as caught:
        write_dataset_folder(tmp_path / "out" / "below", NEW, [], "card")
    assert "\n" not in str(caught.value)


def test_no_prompts_is_an_error(tmp_path):
    with pytest.raises(DatasetError, match="no prompts"):
        write_dataset_folder(tmp_path / "out", [], [], "card")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EACCES])
def test_a_full_or_read_only_disk_is_one_line_and_the_old_folder_stays(tmp_path, monkeypatch, code):
    out = tmp_path / "out"
    write_dataset_folder(out, OLD, ERRATA, "card")
    before = contents(out)

    def fail(path, rows):
        raise OSError(code, "No space or so", str(path))

    monkeypatch.setattr(write_folder, "write_jsonl", fail)
    with pytest.raises(DatasetError, match="No space or so") as caught:
        write_dataset_folder(out, NEW, ERRATA, "card")
    assert "\n" not in str(caught.value)
    assert contents(out) == before
    assert list(tmp_path.iterdir()) == [out]


def test_the_old_folder_is_put_back_if_the_last_step_fails(tmp_path, monkeypatch):
    out = tmp_path / "out"
    write_dataset_folder(out, OLD, ERRATA, "card")
    before = contents(out)
    rename = Path.rename

    def fail_for_the_new(path, target):
        if path.name.endswith(".partial"):
            raise OSError(errno.EIO, "I/O error", str(path))
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", fail_for_the_new)
    with pytest.raises(DatasetError, match="I/O error"):
        write_dataset_folder(out, NEW, ERRATA, "card")
    assert contents(out) == before
    assert list(tmp_path.iterdir()) == [out]


def test_a_link_to_a_folder_is_followed_and_stays_a_link(tmp_path):
    write_dataset_folder(tmp_path / "target", OLD, [], "card")
    (tmp_path / "link").symlink_to(tmp_path / "target")
    write_dataset_folder(tmp_path / "link", NEW, [], "card")
    assert (tmp_path / "link").is_symlink()
    assert read_prompts(tmp_path / "target") == NEW


def test_a_read_only_parent_is_one_line():
    """As root nothing is read-only but kernel folders, so /proc stands for a read-only disk."""
    if not Path("/proc/self").exists():
        pytest.skip("there is no /proc on this system")
    with pytest.raises(DatasetError, match="cannot be written"):
        write_dataset_folder(Path("/proc/polyrefuse-out"), OLD, [], "card")


def test_a_documented_folder_may_be_replaced_but_not_one_with_other_pages(tmp_path):
    write_dataset_folder(tmp_path / "out", OLD, [], "card", {"datasheet.md": "x"})
    pages = tmp_path / "out" / "languages"
    pages.mkdir()
    (pages / "de.md").write_text("page", encoding="utf-8")
    write_dataset_folder(tmp_path / "out", NEW, [], "card")
    assert read_prompts(tmp_path / "out") == NEW
    pages.mkdir()
    (pages / "diary.md").write_text("mine", encoding="utf-8")
    with pytest.raises(DatasetError, match=r"languages/diary\.md"):
        write_dataset_folder(tmp_path / "out", OLD, [], "card")
