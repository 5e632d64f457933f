"""Stage `choose_k`: a sample of embeddings, its curve, a suggestion and a picture."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.clustered import TOPICS, texts_of, topic_config
from tests.small_jobs import DAY, read_table
from theta_ray.config import Config
from theta_ray.config_quality import ChooseK
from theta_ray.errors import InputError
from theta_ray.manifest import read_manifest
from theta_ray.objects import list_names, read_bytes
from theta_ray.topics import choose_k
from theta_ray.topics.k_curve import Measure, Point
from theta_ray.topics.k_plot import to_svg
from theta_ray.topics.k_sample import from_json, share_out, to_json, usable

SECTION = {"num_clusters": [2, 4, 8], "sample_rows": 200, "silhouette_rows": 100, "num_resamples": 100}
SECTION |= {"num_pairs": 2, "num_references": 2}


def configured(folder: Path, model: Path, **section: Any) -> Config:
    config = topic_config(folder, model, {DAY: texts_of(list(TOPICS), 400)})
    settings = ChooseK.model_validate({**SECTION, **section})
    return config.model_copy(update={"recipe": config.recipe.model_copy(update={"choose_k": settings})})


def test_a_curve_is_committed_with_its_suggestion_and_picture(tmp_path: Path, bert: Path) -> None:
    config = configured(tmp_path, bert, num_clusters=[2, 4, 8, 100])
    card = choose_k.run(config, DAY)
    rows = read_table(config.root, "k_curve").to_pylist()
    assert sorted({row["num_clusters"] for row in rows}) == [2, 4, 8]  # 100 would have 2 rows each
    inertia = [row["value"] for row in rows if row["metric"] == "inertia"]
    assert inertia == sorted(inertia, reverse=True)
    assert {row["num_values"] for row in rows if row["metric"] == "inertia"} == {200}
    assert card.figures["sample"] == 200
    manifest = read_manifest(choose_k.make_job(config, DAY).curve)
    assert manifest is not None
    assert manifest["suggestion"]["why"] == card.figures["because"]
    picture = ElementTree.fromstring(read_bytes(choose_k.make_job(config, DAY).curve.at(*manifest["files"])))
    assert picture.tag.endswith("svg")


def test_a_second_run_finds_nothing_to_do_and_a_killed_one_goes_on(
    tmp_path: Path, bert: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = configured(tmp_path, bert)
    job = choose_k.make_job(config, DAY)

    def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(choose_k, "suggest", killed)
        with pytest.raises(KeyboardInterrupt):
            choose_k.run(config, DAY)
    (staged,) = list_names(job.curve.at("staging"))
    assert len(list_names(job.curve.at("staging", staged, "points"))) == 3
    with monkeypatch.context() as patch:
        patch.setattr("theta_ray.topics.k_sample.measure", killed)  # nothing is measured again
        first = choose_k.run(config, DAY)
    second = choose_k.run(config, DAY)
    assert (first.status, second.status) == ("committed", "nothing to do")
    assert first.figures == second.figures
    assert list_names(job.curve.at("staging")) == []


def test_too_few_embeddings_for_two_numbers_are_told(tmp_path: Path, bert: Path) -> None:
    with pytest.raises(
        InputError, match=r"has 200 usable rows in the sample.*set choose_k.num_clusters to smaller ones"
    ):
        choose_k.run(configured(tmp_path, bert, num_clusters=[4, 50]), DAY)


@given(st.lists(st.integers(0, 1000), max_size=8), st.integers(0, 3000))
def test_a_sample_takes_from_each_shard_in_proportion(num_rows: list[int], wanted: int) -> None:
    drawn = share_out(num_rows, wanted)
    assert sum(drawn) == min(wanted, sum(num_rows))
    assert all(0 <= count <= rows for count, rows in zip(drawn, num_rows, strict=True))
    share = sum(drawn) / max(1, sum(num_rows))
    assert all(abs(count - rows * share) < 1.001 for count, rows in zip(drawn, num_rows, strict=True))


def test_damaged_rows_are_left_out_and_zero_ones_where_directions_count() -> None:
    vectors = np.array([[3, 4], [np.nan, 1], [0, 0], [np.inf, 0]], np.float32)
    unit, is_usable = usable(vectors, is_spherical=True)
    np.testing.assert_allclose(unit, [[0.6, 0.8]])
    assert is_usable.tolist() == [True, False, False, False]
    assert usable(vectors, is_spherical=False)[0].tolist() == [[3, 4], [0, 0]]


def test_a_point_survives_its_json() -> None:
    point = Point(5, (Measure("inertia", 1.5, math.nan, math.inf, 7),), 0.25, math.nan)
    found = to_json(point)
    assert found["measures"][0]["low"] is found["measures"][0]["high"] is None
    assert str(from_json(found)) == str(point).replace("inf,", "nan,")


def test_a_picture_is_one_xml_document_whatever_is_known() -> None:
    rows = [
        {"num_clusters": k, "metric": metric, "value": k / 100, "low": low, "high": k / 50}
        for k, low in ((5, 0.01), (50, None))
        for metric in ("held_out_silhouette", "reference_silhouette", "stability", "inertia")
    ]
    picture = to_svg(rows, 50, "k < 60 & more")
    root = ElementTree.fromstring(picture)
    assert "k &lt; 60 &amp; more" in picture
    curves = [path for path in root.findall(".//{*}path") if "l" in path.get("d", "")]
    assert len([path for path in curves if "tr-band" not in path.get("class", "")]) == 4
    assert to_svg(rows, None, "").count('class="tr-rule"') == 0 < picture.count('class="tr-rule"')
    assert ElementTree.fromstring(to_svg([], None, "nothing")).findall(".//{*}path") == []
    ElementTree.fromstring(to_svg([{**rows[0], "value": None, "low": None, "high": None}], None, "nothing"))
    ElementTree.fromstring(to_svg(rows[:1], 5, "one"))
