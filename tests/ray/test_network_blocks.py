"""A graph in blocks on the session's Ray cluster: the numbers of one task, also where a worker dies in the middle."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.blocks import answers, in_files
from tests.unit.test_communities import planted
from tests.unit.test_hits import random_graph
from theta_ray.config import Resources
from theta_ray.network import graph_actors
from theta_ray.network.block_worker import BlockJob, BlockWorker
from theta_ray.network.engines import EngineSettings, Whole, engine_for
from theta_ray.network.graph import Graph

pytestmark = [pytest.mark.ray, pytest.mark.usefixtures("ray_cluster")]


def graph_of(*, directed: bool) -> Graph:
    """A few hundred edges, with groups where there are no directions."""
    return random_graph(21) if directed else planted(4, 30, 0.4, 0.02)[0]


def asked(graph: Graph, folder: Path, num_actors: int) -> dict[str, Any]:
    """All answers of a graph in at least four blocks on so many actors."""
    settings = EngineSettings(0, edges_per_block=graph.num_edges // 4)
    resources = Resources(num_actors=num_actors)
    with engine_for(in_files(graph, folder / "edges", 3), str(folder / "scratch"), resources, settings) as engine:
        return answers(engine, graph.num_nodes)


@pytest.mark.parametrize("directed", [False, True])
def test_answers_are_those_of_one_task_on_any_number_of_workers(tmp_path: Path, directed: bool) -> None:
    graph = graph_of(directed=directed)
    expected = answers(Whole(graph), graph.num_nodes)
    one, two = (asked(graph, tmp_path / str(count), count) for count in (1, 2))
    for name, value in expected.items():
        np.testing.assert_allclose(one[name], value, rtol=0, atol=1e-9, err_msg=name)
        np.testing.assert_array_equal(one[name], two[name], err_msg=name)


class _Mortal(BlockWorker):
    """Dies once, in its first worker's third product, after it has read its blocks."""

    def backward(self, *arguments: Any) -> Any:
        marks = Path(self.job.spread).parent / "marks"
        marks.mkdir(parents=True, exist_ok=True)
        number = len(list(marks.iterdir()))
        (marks / f"{os.getpid()}-{number}").touch()
        if number >= 5:  # two workers that look at once may both see more
            with suppress(FileExistsError):
                (marks.parent / "died").touch(exist_ok=False)
                os.kill(os.getpid(), signal.SIGKILL)
        return super().backward(*arguments)


def test_a_worker_killed_in_the_middle_of_an_iteration_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    graph = graph_of(directed=True)
    undisturbed = asked(graph, tmp_path / "alive", 2)

    class Actor(graph_actors._BlockActor):
        def __init__(self, job: BlockJob, numbers: tuple[int, ...]) -> None:
            self.worker = _Mortal(job, numbers)

    monkeypatch.setattr(graph_actors, "_BlockActor", Actor)
    found = asked(graph, tmp_path / "killed", 2)
    marks = [path.name for path in (tmp_path / "killed" / "scratch" / "marks").iterdir()]
    assert len({name.split("-")[0] for name in marks}) == 3  # two workers, and one that came in place of another
    for name, value in undisturbed.items():
        np.testing.assert_array_equal(found[name], value, err_msg=name)
