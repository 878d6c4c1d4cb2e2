"""An output given by a slip of the hand takes the place of nothing but its own kind."""

import pytest

from tests.support.inputs import copy_english_and_thai

COMMANDS = {
    "calibrate": ["calibrate", "--judge", "keyword", "--reference", "{reference}", "--out"],
    "validate": ["build", "validate", "{dataset}", "--report"],
    "verify": ["leaderboard", "verify", "{nothing}", "--markdown"],
}
BEGIN = '{"language":"en","response":"No.","reference_outcome":"refused"}\n'


@pytest.fixture
def command(tmp_path):
    """Return the words of a command whose output is a file there."""
    dataset = copy_english_and_thai(tmp_path / "small")
    (tmp_path / "nothing").mkdir()
    (tmp_path / "reference.jsonl").write_text(BEGIN, encoding="utf-8")
    places = {
        "dataset": dataset,
        "nothing": tmp_path / "nothing",
        "reference": tmp_path / "reference.jsonl",
    }
    return lambda name: [word.format(**places) for word in COMMANDS[name]]


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize(
    "content", ['{\n  "schema_version": 1,\n  "model": {}}', "# Mine\n", BEGIN, "\udcff"]
)
def test_a_file_of_another_kind_is_not_replaced(refused, command, tmp_path, name, content):
    path = tmp_path / "precious"
    path.write_text(content, encoding="utf-8", errors="surrogateescape")
    before = path.read_bytes()
    line = refused(*command(name), path)
    assert str(path) in line
    assert "emove it" in line
    assert path.read_bytes() == before


@pytest.mark.parametrize("name", ["calibrate", "validate"])
def test_its_own_kind_and_an_empty_file_are_replaced(run, command, tmp_path, name):
    path = tmp_path / "out.jsonl"
    path.touch()
    assert run(*command(name), path).code in (0, 1)
    first = path.read_bytes()
    assert first
    assert run(*command(name), path).code in (0, 1)
    assert path.read_bytes() == first


def test_without_the_check_it_would_be_lost(run, command, tmp_path, monkeypatch):
    """The mutation."""
    monkeypatch.setattr("polyrefuse.cli.calibration.require_replaceable", lambda *_: None)
    path = tmp_path / "precious"
    path.write_text("# Mine\n", encoding="utf-8")
    run(*command("calibrate"), path)
    assert path.read_text(encoding="utf-8") != "# Mine\n"
