"""Run card and plan: what a reader sees of a run, and what is kept of it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from theta_ray.runcard import (
    Phases,
    Plan,
    PlanStep,
    RunCard,
    finished_card,
    load_run_card,
    page_line,
    printable,
    versions,
)
from theta_ray.store import Partition

CARD = RunCard(
    stage="embed",
    status="committed",
    path="/home/you/embeddings",
    fingerprint="0123456789ab",
    date="2026-01-31",
    figures={"documents": 12345, "tokens_per_second": 1234.56, "parity_cosine": 0.99998, "exact": True},
    quarantined={"too_short": 2, "bad_time": 1},
    seconds={"read": 1.25, "embed": 10.0},
)


def test_the_page_shows_figures_reasons_and_where_the_result_is() -> None:
    lines = CARD.page().splitlines()
    assert lines[1] == "embed  2026-01-31  committed"
    assert [line.split(maxsplit=1)[1] for line in lines if line.startswith("  documents")] == ["12,345"]
    assert "  tokens per second         1,234.6" in lines
    assert "  quarantined               3" in lines
    assert "    bad_time                1" in lines
    assert "  seconds                   read 1.2   embed 10.0" in lines
    assert lines[-1] == "  result                    /home/you/embeddings"


def test_upstream_stages_are_shown_first() -> None:
    upstream = replace(CARD, stage="prepare")
    page = replace(CARD, upstream=[upstream]).page()
    assert page.index("prepare  2026") < page.index("embed  2026")


def test_the_line_for_scripts_is_one_line_of_json() -> None:
    line = CARD.json_line()
    assert line.count("\n") == 1
    assert json.loads(line)["documents"] == 12345
    assert json.loads(line)["quarantined"] == {"too_short": 2, "bad_time": 1}


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "unknown"), (False, "no"), (1234, "1,234"), (0.99999876543, "0.999998765"), (-1234.5, "-1,234.5")],
)
def test_a_line_shows_values_as_people_write_them(value: object, text: str) -> None:
    assert page_line("name", value) == f"  {'name':<26}{text}"


def test_a_saved_card_comes_back(tmp_path: Path) -> None:
    partition = Partition(str(tmp_path), "embeddings", "0123456789ab", "2026-01-31")
    assert load_run_card(partition, 1) is None
    replace(CARD, upstream=[CARD]).save(partition, 1)
    found = load_run_card(partition, 1)
    assert found is not None
    assert replace(found, metrics={}) == CARD


def test_the_card_of_the_run_that_committed_stays(tmp_path: Path) -> None:
    partition = Partition(str(tmp_path), "embeddings", "0123456789ab", "2026-01-31")
    CARD.save(partition, 1)
    replace(CARD, status="nothing to do").save(partition, 1)
    kept = load_run_card(partition, 1)
    assert kept is not None
    assert kept.status == "committed"


def test_a_version_that_is_there_has_the_seconds_of_the_run_that_made_it(tmp_path: Path) -> None:
    partition = Partition(str(tmp_path), "embeddings", "0123456789ab", "2026-01-31")
    made = RunCard.of("embed", partition, {"documents": 5}, seconds={"embed": 2.5})
    assert (made.status, made.path, made.quarantined) == ("committed", partition.path, {})
    made.save(partition, 1)
    again = finished_card(RunCard.of("embed", partition, {"documents": 5}), partition, 1)
    assert (again.status, again.seconds, again.figures) == ("nothing to do", {"embed": 2.5}, {"documents": 5})
    found = load_run_card(partition, 1)
    assert found is not None
    assert replace(found, metrics={}) == made


def test_a_run_that_was_killed_before_its_card_gets_one_later(tmp_path: Path) -> None:
    partition = Partition(str(tmp_path), "embeddings", "0123456789ab", "2026-01-31")
    card = finished_card(RunCard.of("embed", partition, {"documents": 5}), partition, 3)
    assert (card.status, card.seconds) == ("nothing to do", {})
    saved = load_run_card(partition, 3)
    assert saved is not None
    assert saved.status == "committed"


def test_phases_add_up_in_the_order_in_which_they_began() -> None:
    phases = Phases()
    with phases.measure("read"):
        pass
    with phases.measure("embed"):
        pass
    with phases.measure("read"):
        pass
    assert list(phases.seconds) == ["read", "embed"]
    assert all(seconds >= 0 for seconds in phases.seconds.values())


def test_a_phase_that_fails_is_measured_as_well() -> None:
    phases = Phases()
    with pytest.raises(KeyError), phases.measure("read"):
        raise KeyError
    assert "read" in phases.seconds


def test_a_plan_shows_its_steps_and_the_whole_recipe() -> None:
    steps = [
        PlanStep("prepare", "/home/you/corpus", "nothing to do", {}),
        PlanStep("embed", "/e", "would run", {"rows": 9}),
    ]
    recipe = {"name": "r", "corpus": {"inputs": [{"reader": "text", "columns": None}], "keep_languages": ["en"]}}
    lines = Plan(steps, recipe).page().splitlines()
    assert lines[0] == "recipe"  # and after it the steps, so that these are what a terminal shows
    assert lines.index("prepare  nothing to do") < lines.index("embed  would run")
    assert '      reader: "text"' in lines or '        reader: "text"' in lines
    assert not any("columns" in line for line in lines)
    assert '    keep_languages: ["en"]' in lines
    assert lines[-1] == "nothing was started"


def test_hostile_text_cannot_steer_a_terminal() -> None:
    assert printable("a\x1b[31mb\r\n\u202ec", 80) == "a [31mb c"
    assert printable("x" * 100, 10) == "x" * 9 + "\u2026"


def test_versions_name_python_this_package_and_what_results_depend_on() -> None:
    found = versions()
    assert found["theta-ray"] == "0.1.0"
    assert {"python", "platform", "ray", "torch", "transformers", "pyarrow"} <= set(found)
    assert "not installed" not in {found[name] for name in ("ray", "torch", "transformers", "pyarrow")}
