"""The report on the session's Ray cluster."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.networks import with_resources
from tests.reported import NIGHTS, page, posts, report_config
from theta_ray.report import report
from theta_ray.report.gather import Nights, gather
from theta_ray.report.page import render
from theta_ray.tasks import Executor

pytestmark = [pytest.mark.ray, pytest.mark.usefixtures("ray_cluster")]


def test_tasks_of_a_cluster_gather_the_page_of_one_process(tmp_path: Path, bert: Path) -> None:
    night = NIGHTS[0]
    section = {"show_text": True, "min_cell": 1}
    local = report_config(tmp_path, bert, {night: posts(["running", "bread", "stars"], 90, night)}, section)
    expected = page(local, night)
    remote = with_resources(local, executor="ray")
    job = report.make_job(remote, night)
    executor = Executor(report.STAGE, remote.resources, lambda: None)
    facts = gather(remote, Nights(job.tables, job.before, job.nights), executor)
    assert render(facts, job.settings).decode() == expected
    assert report.run(remote, night).status == "nothing to do"
