"""Checks 1 to 10 of docs/kubernetes.md over every overlay: jobs end, are retried within bounds, name what exists."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import REPOSITORY
from tests.k8s.rendered import OVERLAYS, PROD, Manifest, of_kind, overlay, ray_specs
from theta_ray.console.main import build_parser as console_parser
from theta_ray.recipe_files import load_config
from theta_ray.runtime import build_parser

each_overlay = pytest.mark.parametrize("name", OVERLAYS)


@each_overlay
def test_jobs_have_deadlines_and_few_retries_and_their_clusters_end(name: str) -> None:
    for _, spec in ray_specs(overlay(name)):
        assert 0 < spec["preRunningDeadlineSeconds"] < spec["activeDeadlineSeconds"] <= 86_400
        assert 1 <= spec["backoffLimit"] <= 3
        assert spec["shutdownAfterJobFinishes"]
        assert spec["ttlSecondsAfterFinished"] >= 600, "a failed job can be looked at"


@each_overlay
def test_rules_between_fields_that_only_the_operator_checks_hold(name: str) -> None:
    for _, spec in ray_specs(overlay(name)):
        assert spec["submissionMode"] in ("K8sJobMode", "HTTPMode", "InteractiveMode", "SidecarMode")
        assert spec["submissionMode"] == "K8sJobMode"
        assert spec["submitterPodTemplate"]
        assert spec["submitterConfig"]
        assert "clusterSelector" not in spec, "no backoff, no suspend and no end of the cluster with it"
        assert not (spec.get("suspend") and not spec["shutdownAfterJobFinishes"])
        assert not ("ttlSecondsAfterFinished" in spec and not spec["shutdownAfterJobFinishes"])
        assert not ("deletionStrategy" in spec and spec["shutdownAfterJobFinishes"])
        cluster = spec["rayClusterSpec"]
        assert not {"networkPolicy", "tlsOptions"} & cluster.keys(), "behind gates that are off"
        assert "enableK8sTokenAuth" not in cluster["authOptions"], "refused for RayJob"
        groups = [group["groupName"] for group in cluster["workerGroupSpecs"]]
        assert len(set(groups)) == len(groups) >= 1
        for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"]):
            assert not (
                {"resources", "labels"} & group.keys() and {"num-cpus", "num-gpus"} & group["rayStartParams"].keys()
            )
            assert "labels" not in group["rayStartParams"]
            pod = group["template"]["spec"]
            assert pod.get("restartPolicy", "Never") == "Never", "autoscaler v2"
        assert isinstance(yaml.safe_load(spec["runtimeEnvYAML"]), dict)


@each_overlay
def test_names_are_short_enough_for_what_is_made_of_them(name: str) -> None:
    objects = overlay(name)
    for each in of_kind(objects, "RayJob", "CronJob", "RayCronJob"):
        known = each["metadata"]["name"]
        assert re.fullmatch(r"[a-z]([-a-z0-9]*[a-z0-9])?", known)
        # a copy is named after the Job of a tick: name, hyphen, 8 digits of minutes
        assert len(known) <= {"RayJob": 47, "CronJob": 47 - 9, "RayCronJob": 36}[each["kind"]]


@each_overlay
def test_entrypoints_are_lines_that_the_jobs_themselves_take(name: str, tmp_path: Path) -> None:
    objects = overlay(name)
    recipes = {
        key: value
        for each in of_kind(objects, "ConfigMap")
        if "theta-ray-recipes" in each["metadata"]["name"]
        for key, value in each["data"].items()
    }
    for file, text in recipes.items():
        (tmp_path / file).write_text(text)
    settings = next(e["data"] for e in of_kind(objects, "ConfigMap") if "theta-ray-settings" in e["metadata"]["name"])
    seen = set()
    for _, spec in ray_specs(objects):
        line = spec["entrypoint"].replace("$THETA_RAY_ROOT", settings["THETA_RAY_ROOT"])
        doctor, job = (shlex.split(part.replace("/etc/theta-ray", str(tmp_path))) for part in line.split("&&"))
        assert doctor[0] == "theta-ray"
        assert job[0] == "python"
        known = console_parser().parse_args(doctor[1:])
        assert known.command == "doctor"
        assert (REPOSITORY / job[1]).is_file()
        options = build_parser().parse_args(job[2:])
        config = load_config(
            options.config, resources_path=options.resources, root=options.root, overrides=tuple(options.set)
        )
        assert config.root == settings["THETA_RAY_ROOT"]
        assert "://" in config.root
        assert (known.config, known.resources, known.root) == (options.config, options.resources, options.root)
        seen.add(job[1])
    assert seen == {"jobs/embed.py", "jobs/finetune.py", "jobs/refresh.py"}


@each_overlay
def test_nothing_is_installed_or_fetched_as_code_when_a_job_starts(name: str) -> None:
    for _, spec in ray_specs(overlay(name)):
        assert set(yaml.safe_load(spec["runtimeEnvYAML"])) == {"env_vars"}
        assert not re.search(r"\b(pip|uv|conda|curl|wget|apt)\b", spec["entrypoint"])


@each_overlay
def test_each_job_says_where_it_comes_from_and_whose_it_is(name: str) -> None:
    for job in of_kind(overlay(name), "RayJob"):
        annotations = job["metadata"]["annotations"]
        assert (REPOSITORY / annotations["theta-ray/runbook"]).is_file()
        assert {"theta-ray/git-sha", "theta-ray/owner"} <= annotations.keys()
        if name in PROD:
            assert re.fullmatch(r"[0-9a-f]{40}", annotations["theta-ray/git-sha"])
            assert annotations["theta-ray/owner"] != "unknown"


@each_overlay
def test_the_night_has_one_schedule_that_does_not_pile_up(name: str) -> None:
    objects = overlay(name)
    (schedule,) = of_kind(objects, "CronJob")
    spec = schedule["spec"]
    assert spec["concurrencyPolicy"] == "Forbid"
    assert spec["timeZone"]
    assert 600 <= spec["startingDeadlineSeconds"] < 86_400
    assert {"successfulJobsHistoryLimit", "failedJobsHistoryLimit"} <= spec.keys()
    job = spec["jobTemplate"]["spec"]
    (container,) = job["template"]["spec"]["containers"]
    template = _rayjob(objects, container["command"][-1])
    attempts = template["spec"]["backoffLimit"] + 1
    assert job["backoffLimit"] == 0
    longest = attempts * (template["spec"]["activeDeadlineSeconds"])
    assert job["activeDeadlineSeconds"] >= longest, "the pod waits for the last attempt"


@each_overlay
def test_all_ray_jobs_are_suspended_templates(name: str) -> None:
    jobs = of_kind(overlay(name), "RayJob")
    assert all(job["spec"]["suspend"] is True for job in jobs), "applying an overlay starts no cluster"


@each_overlay
def test_the_alpha_schedule_is_in_no_overlay(name: str) -> None:
    assert not of_kind(overlay(name), "RayCronJob")
    text = (REPOSITORY / "k8s" / "components" / "raycronjob" / "kustomization.yaml").read_text()
    assert "feature gate RayCronJob" in text


def _rayjob(objects: tuple[Manifest, ...], name: str) -> dict[str, Any]:
    return next(each for each in of_kind(objects, "RayJob") if each["metadata"]["name"] == name)
