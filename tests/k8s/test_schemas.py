"""Every object of every overlay is what Kubernetes 1.34 and KubeRay 1.7 take; planted mistakes are found."""

from __future__ import annotations

import copy
from typing import Any

import kubernetes_validate
import pytest

from tests.k8s.crds import problems_of
from tests.k8s.rendered import K8S, OVERLAYS, Manifest, Pod, of_kind, overlay, pods, render

# Of operators that this project uses where they are there; their own CRDs are not at hand.
FOREIGN = {"ClusterQueue", "LocalQueue", "PodMonitor", "PrometheusRule", "ResourceFlavor"}
RAY = {"RayCronJob", "RayJob"}


def native_problems(manifest: Manifest) -> list[str]:
    try:
        kubernetes_validate.validate(manifest, "1.34", strict=True)
    except kubernetes_validate.ValidationError as error:
        return [f"{'.'.join(map(str, error.path))}: {error.message[-200:]}"]
    return []


def as_pod(pod: Pod) -> Manifest:
    metadata = {**pod.template.get("metadata", {}), "name": "pod"}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": pod.spec}


@pytest.mark.parametrize("name", OVERLAYS)
def test_native_objects_and_all_pods_are_valid(name: str) -> None:
    objects = overlay(name)
    native = [each for each in objects if each["kind"] not in FOREIGN | RAY]
    assert len(native) > 15
    problems = {f"{each['kind']} {each['metadata']['name']}": native_problems(each) for each in native}
    problems |= {str(pod): native_problems(as_pod(pod)) for pod in pods(objects)}
    assert not {where: found for where, found in problems.items() if found}


@pytest.mark.parametrize("name", OVERLAYS)
def test_ray_jobs_are_valid_by_their_schema_and_its_rules(name: str) -> None:
    jobs = of_kind(overlay(name), *RAY)
    assert len(jobs) == 4
    assert {job["metadata"]["name"]: problems_of(job) for job in jobs} == {job["metadata"]["name"]: [] for job in jobs}


@pytest.fixture
def with_all_components(tmp_path_factory: pytest.TempPathFactory) -> tuple[Manifest, ...]:
    folder = K8S / "overlays" / ".all-components"
    folder.mkdir()
    names = sorted(path.parent.name for path in (K8S / "components").glob("*/kustomization.yaml"))
    assert names == ["kueue", "monitoring", "raycronjob", "restricted", "spot"]
    text = "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nnamespace: theta-ray\n"
    text += "resources: [../../base]\ncomponents:\n" + "".join(
        f"  - ../../components/{name}\n" for name in sorted(names, key="raycronjob".__eq__)
    )
    try:
        (folder / "kustomization.yaml").write_text(text)
        return render(folder)
    finally:
        (folder / "kustomization.yaml").unlink(missing_ok=True)
        folder.rmdir()


def test_all_components_go_together(with_all_components: tuple[Manifest, ...]) -> None:
    objects = with_all_components
    (schedule,) = of_kind(objects, "RayCronJob")
    assert problems_of(schedule) == []
    assert not of_kind(objects, "CronJob")
    made, template = schedule["spec"]["jobTemplate"], _named(objects, "RayJob", "theta-ray-refresh")["spec"]
    assert made == {**template, "suspend": False}
    assert schedule["spec"]["timeZone"]
    for job in of_kind(objects, "RayJob"):
        assert job["metadata"]["annotations"]["theta-ray/queue"] == "theta-ray"
        assert "kueue.x-k8s.io/queue-name" not in job["metadata"].get("labels", {})
        assert job["spec"]["shutdownAfterJobFinishes"]
        assert not {"clusterSelector", "deletionStrategy"} & job["spec"].keys()
    blocks = str(of_kind(objects, "NetworkPolicy"))
    assert "0.0.0.0/0" not in blocks


def _named(objects: tuple[Manifest, ...], kind: str, name: str) -> Manifest:
    return next(each for each in of_kind(objects, kind) if each["metadata"]["name"] == name)


def _edited(job: Manifest, path: tuple[Any, ...], value: Any) -> Manifest:
    changed = copy.deepcopy(job)
    place = changed
    for key in path[:-1]:
        place = place[key]
    if value is None:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    return changed


HEAD = ("spec", "rayClusterSpec", "headGroupSpec", "template", "spec", "containers", 0)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("spec", "backOffLimit"), 3),
        (("spec", "backoffLimit"), "three"),
        (("spec", "rayClusterSpec", "headGroupSpec", "template"), None),
        ((*HEAD, "imagePullPolciy"), "Always"),
        ((*HEAD, "ports", 0, "containerPort"), "six"),
        (("spec", "rayClusterSpec", "authOptions", "mode"), "tokens"),
        (
            ("spec", "deletionStrategy"),
            {"deletionRules": [{"policy": "DeleteSelf", "condition": {"ttlSeconds": 5}}]},
        ),
    ],
    ids=lambda value: str(value)[-40:],
)
def test_a_planted_mistake_is_found(path: tuple[Any, ...], value: Any) -> None:
    job = _named(overlay("prod-aws"), "RayJob", "theta-ray-embed")
    assert problems_of(_edited(job, path, value))


def test_a_planted_mistake_in_a_native_object_is_found() -> None:
    job = _named(overlay("prod-aws"), "CronJob", "theta-ray-refresh")
    assert native_problems(_edited(job, ("spec", "concurencyPolicy"), "Forbid"))
