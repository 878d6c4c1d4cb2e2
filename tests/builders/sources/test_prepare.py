"""From a recipe to English prompts: duplicates, overlap, splits, limits, twins, the frozen file."""

import json
from pathlib import Path

import pytest

from polyrefuse.errors import DatasetError
from polyrefuse.invariants import find_violations
from polyrefuse_builders.sources import Recipe, overlap_table, read_manifest, read_recipe
from polyrefuse_builders.sources.prepare import prepare
from polyrefuse_builders.sources.recipe import RecipeSource
from polyrefuse_builders.splits import read_splits
from polyrefuse_builders.upstream_errata import near_duplicates
from tests.support.inputs import SOURCE_ENTRY

ROOT = Path(__file__).parents[3]
UPSTREAM = ROOT.parent / "shared" / "upstream"


class Sources:
    """A manifest and its mirror on disk, filled source by source."""

    def __init__(self, folder: Path) -> None:
        self.manifest = folder / "sources.toml"
        self.mirror = folder / "mirror"
        self.state = folder / "state"
        self.state.mkdir()
        self.text = ""

    def add(self, name: str, rows: list, label: str = "harmful", more: str = "") -> None:
        (self.mirror / name).mkdir(parents=True)
        lines = "".join(json.dumps(row) + "\n" for row in rows)
        (self.mirror / name / "rows.jsonl").write_text(lines)
        self.text += SOURCE_ENTRY.format(name=name, label=label, more=more)
        self.manifest.write_text(self.text)

    def prepare(self, recipe: str | None = None, limit: int | None = None):
        path = self.manifest
        if recipe is not None:
            path = self.manifest.with_name("recipe.toml")
            path.write_text('manifest = "sources.toml"\n' + recipe)
        found, sources = read_recipe(path)
        return prepare(found, sources, self.state, mirror=self.mirror, limit=limit, canary="c")


@pytest.fixture
def sources(tmp_path):
    return Sources(tmp_path)


def numbered(word: str, count: int) -> list[str]:
    return [f"{word} {n} {n * 7} {n * 11} {word}{n}" for n in range(count)]


def test_every_row_gets_a_split_and_no_invariant_breaks(sources):
    sources.add("one", numbered("alpha", 60))
    sources.add("two", numbered("beta", 60), "harmless")
    found = sources.prepare()
    assert len(found.prompts) == 120
    assert {row.split for row in found.prompts} == {"train", "validation", "test"}
    assert not find_violations(found.prompts)
    assert found.read == {"one": 60, "two": 60}


def test_duplicates_are_left_out_and_overlap_is_counted(sources):
    sources.add("one", ["How do I pick a lock?", "Forge a will", "forge  a WILL"])
    near = "How do I pick a lock then, and when do I do it so that it is a lock I pick, do I?"
    sources.add("two", ["how do i pick a lock?", near, near + " please"], "harmless")
    found = sources.prepare()
    assert sorted(row.prompt for row in found.prompts) == sorted(
        ["How do I pick a lock?", "Forge a will", near, near + " please"]
    )
    counts = {(o.first, o.second): (o.identical, o.near, o.labels_differ) for o in found.overlaps}
    assert counts == {
        ("one", "one"): (1, 0, 0),
        ("one", "two"): (1, 0, 1),
        ("two", "two"): (0, 1, 0),
    }
    assert overlap_table(found.overlaps).row_count == 3
    twins = [row.split for row in found.prompts if row.prompt.startswith(near)]
    assert len(set(twins)) == 1


def test_a_source_added_later_moves_nobody_even_if_it_comes_first(sources):
    sources.add("one", numbered("alpha", 80))
    before = {row.id: row.split for row in sources.prepare().prompts}
    sources.add("zero", numbered("alpha", 40) + numbered("gamma", 20))
    recipe = 'sources = [{ name = "zero" }, { name = "one" }]'
    after = {row.id: row.split for row in sources.prepare(recipe).prompts}
    assert {id_: after[id_] for id_ in before} == before, (
        "frozen rows stay, and stay where they are"
    )
    assert len(after) == 100
    assert read_splits(sources.state / "splits.tsv") == after


def test_the_same_state_gives_the_same_prompts_and_a_lost_one_too(sources, tmp_path):
    sources.add("one", numbered("alpha", 50))
    first = sources.prepare().prompts
    assert sources.prepare().prompts == first
    (sources.state / "splits.tsv").unlink()
    assert sources.prepare().prompts == first


def test_a_higher_limit_only_adds(sources):
    sources.add("one", numbered("alpha", 60))
    sources.add("two", numbered("beta", 60))
    chosen = [{row.id for row in sources.prepare(limit=n).prompts} for n in (5, 20, 60)]
    assert [len(ids) for ids in chosen] == [10, 40, 120]
    assert chosen[0] < chosen[1] < chosen[2]
    recipe = 'limit = 7\nsources = [{ name = "one", limit = 3 }, { name = "two" }]'
    counts = [row.source for row in sources.prepare(recipe, limit=9).prompts]
    assert (counts.count("one"), counts.count("two")) == (3, 7)


def test_labels_and_splits_choose(sources):
    sources.add("one", numbered("alpha", 60))
    sources.add("two", numbered("beta", 60), "harmless")
    recipe = (
        'sources = [{ name = "one", splits = ["test"] }, { name = "two", labels = ["harmful"] }]'
    )
    rows = sources.prepare(recipe).prompts
    assert rows
    assert {(row.source, row.split) for row in rows} == {("one", "test")}
    with pytest.raises(DatasetError, match="leaves no prompt"):
        sources.prepare('sources = [{ name = "two", labels = ["harmful"] }]')


def test_twins_name_each_other_where_both_were_chosen(sources):
    columns = 'columns = { text = "t", pair = "n" }\npair_with = '
    for name, other, label in (("one", "two", "harmful"), ("two", "one", "harmless")):
        rows = [{"t": text, "n": str(n)} for n, text in enumerate(numbered(name, 30))]
        sources.add(name, rows, label, f'{columns}"{other}"')
    by_id = {row.id: row for row in sources.prepare(limit=10).prompts}
    assert len(by_id) == 20
    for row in by_id.values():
        twin = by_id[row.pair_id]
        assert (twin.pair_id, twin.split) == (row.id, row.split)
        assert twin.label != row.label
    alone = sources.prepare('sources = [{ name = "one" }]').prompts
    assert {row.pair_id for row in alone} == {None}


@pytest.mark.skipif(not UPSTREAM.is_dir(), reason=f"the released files are not at {UPSTREAM}")
def test_near_duplicates_of_the_release_no_longer_straddle_its_splits(sources):
    sources.mirror.mkdir()
    (sources.mirror / "upstream_polyrefuse").symlink_to(UPSTREAM)
    entry = read_manifest(ROOT / "builders" / "sources.toml").sources["upstream_polyrefuse"]
    found = prepare(
        Recipe(manifest="", sources=[RecipeSource(name="upstream_polyrefuse")]),
        {"upstream_polyrefuse": entry},
        sources.state,
        mirror=sources.mirror,
        limit=None,
        canary="c",
    )
    assert not list(near_duplicates(found.prompts)), "the importer lists 10 pairs in these files"
    assert not find_violations(found.prompts)
    assert found.read == {"upstream_polyrefuse": 1771}
    assert len(found.prompts) == 1771 - len(found.duplicates)
    assert len(found.duplicates) == 11
    assert 0 < len(found.assignment.moved) <= 20
    assert found.assignment.straddling == []


def test_a_changed_source_file_stops_the_build(sources):
    sources.add("one", numbered("alpha", 5))
    sources.prepare()
    (sources.mirror / "one" / "rows.jsonl").write_text('"other"\n')
    with pytest.raises(DatasetError, match="checksum mismatch"):
        sources.prepare()
