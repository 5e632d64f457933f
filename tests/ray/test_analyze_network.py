"""Networks on the session's Ray cluster."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.corpora import DAY
from tests.networks import network_config, tables_of, with_resources
from tests.unit.test_analyze_network import talk
from tests.unit.test_analyze_network_runs import crowd
from theta_ray.manifest import read_manifest
from theta_ray.network import analyze_network
from theta_ray.store import Partition

pytestmark = [pytest.mark.ray, pytest.mark.usefixtures("ray_cluster")]


def test_the_cluster_commits_the_bytes_of_one_process(tmp_path: Path) -> None:
    section = {"graphs": ["co_thread", "comment_to_parent_author"], "max_export_edges": 100}
    local = network_config(tmp_path, [*crowd(), *talk()], section, shard_bytes=15_000)
    remote = with_resources(local, executor="ray").model_copy(update={"root": str(tmp_path / "ray")})
    for config in (local, remote):
        tables_of(config)
    tables = [analyze_network.make_job(config, DAY).tables for config in (local, remote)]
    for name in tables[0]:
        one, other = (read_manifest(each[name]) for each in tables)
        assert one is not None
        assert one == other, name
        for file in one.get("files", []):
            assert open_bytes(tables[0][name], file) == open_bytes(tables[1][name], file), file


def open_bytes(table: Partition, file: str) -> bytes:
    return Path(table.at(file)).read_bytes()
