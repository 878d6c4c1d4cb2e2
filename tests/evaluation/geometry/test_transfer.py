"""From judgements to the transfer matrix and its words: shared, in blocks, or not at all."""

import numpy as np
import pytest

from polyrefuse.outcomes import Outcome
from polyrefuse_evaluation.geometry.places import Place, Places, choose_places
from polyrefuse_evaluation.geometry.results import GeometryTables
from polyrefuse_evaluation.geometry.rows import LanguageRow
from polyrefuse_evaluation.geometry.transfer import plan_interventions
from polyrefuse_evaluation.geometry.transfer_rows import (
    Answers,
    refusing_languages,
    source_rows,
    transfer_rows,
)
from polyrefuse_evaluation.geometry.wording_transfer import ablation, addition
from polyrefuse_evaluation.run_directory import JudgementRecord

LANGUAGES = ("ar", "de", "en", "yo")
N = 32


def judge(condition: str, language: str, label: str, refused: int, unparsed: int = 0):
    for at in range(N):
        outcome = Outcome.REFUSED if at < refused else Outcome.COMPLIED
        yield JudgementRecord(
            condition=condition,
            language=language,
            label=label,
            id=f"{label}-{at}",
            batch=0,
            judge="keyword",
            outcome=Outcome.UNPARSED if at >= N - unparsed else outcome,
            score=None,
            response_language=None,
            reason="",
        )


def answers(after: dict[str, dict[str, int]]) -> Answers:
    """Return answers in which all but Yoruba refuse, and `after[source][target]` are left."""
    base = {"ar": N, "de": N, "en": N, "yo": 0}
    rows = []
    for condition, refused in {"baseline": base, "ablate:random": base, **after}.items():
        rows += [row for x in LANGUAGES for row in judge(condition, x, "harmful", refused[x])]
    return Answers(rows)


def tables_of(found: Answers) -> GeometryTables:
    languages = [
        LanguageRow(x, "ok", 48, 48, N, N, True, -1, 1, "published", None) for x in LANGUAGES
    ]
    return GeometryTables(
        position=-1,
        layer=1,
        leader="en",
        languages=languages,
        transfer=list(transfer_rows(found)),
        sources=list(source_rows(found, 0)),
    )


NOTHING = {"ar": 0, "de": 0, "en": 0, "yo": 0}
ALL = {"ar": N, "de": N, "en": N, "yo": 0}


def test_a_shared_direction_is_said_to_be_shared():
    found = tables_of(answers({"ablate:en": NOTHING, "ablate:de": NOTHING, "ablate:yo": ALL}))
    text = ablation(found)
    assert "German and English lowers refusal in them by 100 points" in text.replace(
        "English and German", "German and English"
    )
    assert "Each of them frees every refusing language" in text
    assert "No more than a random direction does: Yoruba" in text
    row = next(r for r in found.sources if r.source == "en")
    assert (row.change, row.targets, row.freed, row.mediates) == (-1, 3, 3, True)
    assert row.change_high < -0.8


def test_two_blocks_are_said_to_be_two():
    found = tables_of(
        answers({"ablate:ar": {**ALL, "ar": 0}, "ablate:de": {**ALL, "de": 0, "en": 0}})
    )
    text = ablation(found)
    assert "It does not go everywhere" in text
    assert "Arabic frees Arabic" in text
    assert "German frees German and English" in text


def test_no_transfer_is_said_to_be_none():
    """The method can fail: the same code on answers that ablation does not change."""
    found = tables_of(answers({"ablate:en": {**ALL, "ar": N - 2}, "ablate:de": ALL}))
    text = ablation(found)
    assert "There is no transfer" in text
    assert "the strongest, English, changes it by −2.1 points beyond random" in text
    assert not any(row.mediates for row in found.sources)


def test_a_model_that_never_refuses_has_nothing_to_transfer():
    rows = [row for x in LANGUAGES for row in judge("baseline", x, "harmful", 3)]
    rows += [row for x in LANGUAGES for row in judge("ablate:en", x, "harmful", 3)]
    found = tables_of(Answers(rows))
    assert "no refusal to remove" in ablation(found)
    assert "none is looked at" in addition(found)


def test_cells_are_paired_by_prompt_and_leave_unparsed_answers_out():
    rows = [*judge("baseline", "en", "harmful", N), *judge("ablate:random", "en", "harmful", N)]
    rows += judge("ablate:de", "en", "harmful", 4, unparsed=8)
    cells = {row.source: row for row in transfer_rows(Answers(rows))}
    assert (cells["de"].n, cells["de"].judged, cells["de"].refused) == (N, N - 8, 4)
    assert cells["de"].change == pytest.approx(4 / 24 - 1)
    assert cells["de"].beyond_random == cells["de"].change
    assert cells[""].change is None
    assert refusing_languages(Answers(rows)) == ["en"]


def test_controls_are_as_long_as_the_direction_they_are_compared_with():
    places = Places(
        {"de": Place(-1, 1), "en": Place(-2, 2)}, frozenset({"de", "en"}), Place(-2, 2), "en"
    )
    differences = {"de": np.array([3.0, 0.0]), "en": np.array([0.0, 5.0])}
    controls = {"random": np.array([1.0, 0.0])}
    plan = plan_interventions(differences, controls, {"shared-2": np.eye(2)}, places)
    assert [item.name for item in plan] == [
        "baseline", "ablate:de", "ablate:en", "ablate:random", "ablate:shared-2",
        "baseline", "add:de", "add:en", "add:random",
    ]  # fmt: skip
    added = {item.name: item for item in plan}
    assert added["add:random"].vector.norm() == 5
    assert (added["add:de"].layer, added["add:random"].layer) == (1, 2)
    assert added["ablate:shared-2"].vector.shape == (2, 2)


def test_without_any_direction_the_reference_is_a_fixed_depth():
    assert choose_places([], 10).reference == Place(-1, 6)
    assert choose_places([], 10).leader is None
