"""Deletions on the session's Ray cluster: the tables of one process, found and searched by tasks."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.forgotten import DAYS, account_of, id_of, records_of, small_config, write_days
from theta_ray.corpus import prepare
from theta_ray.corpus.authors import KEY_VARIABLE
from theta_ray.corpus.survey import partition_of
from theta_ray.errors import StageError
from theta_ray.manifest import read_manifest
from theta_ray.nightly import forget

pytestmark = [pytest.mark.ray, pytest.mark.usefixtures("ray_cluster")]


def test_a_cluster_forgets_and_searches_as_one_process_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY_VARIABLE, "k" * 32)
    write_days(tmp_path, [records_of(0, 64)])
    (tmp_path / "ids.txt").write_text(f"{id_of(0, 0)}\n{id_of(0, 9)}\n")
    (tmp_path / "authors.txt").write_text(f"{account_of(4)}\n")
    lists: dict[str, Any] = {"ids": str(tmp_path / "ids.txt"), "author_ids": str(tmp_path / "authors.txt")}
    local = small_config(tmp_path, **lists)
    prepare.run(local, DAYS[0])
    shutil.copytree(tmp_path / "root", tmp_path / "copy")
    changes = {
        "resources": local.resources.model_copy(update={"executor": "ray", "num_actors": 2}),
        "root": str(tmp_path / "copy"),
    }
    on_ray = local.model_copy(update=changes)
    verifying = small_config(tmp_path, **lists, verify=True).model_copy(update=changes)
    with pytest.raises(StageError, match="hold what was to be forgotten"):
        forget.run(verifying, DAYS[0])
    cards = [forget.run(config, DAYS[0]) for config in (local, on_ray)]
    assert [card.figures for card in cards] == [cards[0].figures] * 2
    manifests = [read_manifest(partition_of(config, DAYS[0])) for config in (local, on_ray)]
    assert manifests[0] == manifests[1] is not None
    assert forget.run(verifying, DAYS[0]).status == "verified"
