"""The figures for print: written, the same bytes twice, different when the numbers are."""

import pytest
from matplotlib.text import Text

from polyrefuse.errors import RunDirectoryError
from polyrefuse.languages import LANGUAGES
from polyrefuse.outcomes import Outcome
from polyrefuse.results import BASELINE
from polyrefuse_evaluation.report import figures, write_figures

NAMES = [
    f"{name}.{kind}"
    for name in ("compliance", "over_refusal", "outcomes")
    for kind in ("svg", "png")
]


def test_figures_are_written_and_identical_twice(make_result, tmp_path):
    result = make_result(languages=("ar", "en", "yo"))
    first = write_figures(result, tmp_path / "a")
    second = write_figures(result, tmp_path / "b")
    assert first == [tmp_path / "a" / "figures" / name for name in NAMES]
    assert [p.read_bytes() for p in first] == [p.read_bytes() for p in second]
    assert first[1].read_bytes().startswith(b"\x89PNG")
    assert b"<dc:date>" not in first[0].read_bytes()


def test_swapped_conditions_draw_differently(make_result, tmp_path):
    result = make_result(languages=("en", "yo"), labels=("harmful",))
    swap = {BASELINE: "ablate:en", "ablate:en": BASELINE}
    cells = [
        cell.model_copy(update={"condition": swap.get(cell.condition, cell.condition)})
        for cell in result.cells
    ]
    right = write_figures(result, tmp_path / "a")
    wrong = write_figures(result.model_copy(update={"cells": cells}), tmp_path / "b")
    assert [path.stem for path in right] == ["compliance"] * 2 + ["outcomes"] * 2
    assert all(a.read_bytes() != b.read_bytes() for a, b in zip(right, wrong, strict=True))


def test_a_response_that_is_deflected_shows_in_the_figure_of_outcomes(make_result, tmp_path):
    result = make_result(languages=("en", "th"), sources=())
    first, *others = result.cells
    counts = {**first.counts, Outcome.REFUSED: 31, Outcome.DEFLECTED: 1}
    cells = [first.model_copy(update={"counts": counts}), *others]
    before = write_figures(result, tmp_path / "a")[4]
    after = write_figures(result.model_copy(update={"cells": cells}), tmp_path / "b")[4]
    assert before.name == "outcomes.svg"
    assert before.read_bytes() != after.read_bytes()


def test_marked_cells_are_marked_in_every_figure(make_result, tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(figures, "_save", lambda figure, stem, title: drawn.append(figure) or [])
    for unparsed in (1, 3):  # 3.1% and 9.4% of 32
        options = {"languages": ("en", "th"), "sources": (), "unparsed": unparsed}
        write_figures(make_result(**options), tmp_path)
    texts = [[t.get_text() for t in figure.findobj(Text)] for figure in drawn]
    # One note, and a mark on each of two conditions (of two labels in the last figure).
    assert [sum("†" in text for text in found) for found in texts] == [0, 0, 0, 1 + 2, 1 + 2, 1 + 4]


@pytest.mark.parametrize(
    ("options", "count"),
    [
        ({"labels": ("harmful",)}, 4),
        ({"unjudged": "fr", "unparsed": 2}, 6),
        ({"languages": ("en",), "sources": ()}, 6),
        ({"sources": tuple(LANGUAGES), "languages": ("en", "de"), "labels": ("harmful",)}, 4),
        ({"languages": ("en",), "model_name": "$\\frac{a$ <x>\x00\u202e"}, 6),
    ],
)
def test_odd_results_still_draw(make_result, tmp_path, options, count):
    assert len(write_figures(make_result(**options), tmp_path)) == count


def test_a_folder_that_cannot_be_written_says_where(make_result, tmp_path):
    (tmp_path / "figures").write_text("a file in the way")
    with pytest.raises(RunDirectoryError, match="figures cannot be written"):
        write_figures(make_result(languages=("en",)), tmp_path)
