"""Checks 11 to 25 of docs/kubernetes.md over every overlay: heads are safe, workers bounded, all has a limit."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.conftest import REPOSITORY
from tests.k8s.rendered import OVERLAYS, PROD, Manifest, of_kind, overlay, pods, ray_specs

each_overlay = pytest.mark.parametrize("name", OVERLAYS)
GPU = "nvidia.com/gpu"
UNITS = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}


def quantity(text: str) -> float:
    """Bytes, or cores, of a Kubernetes quantity."""
    found = re.fullmatch(r"([\d.]+)(Ki|Mi|Gi|Ti|m)?", str(text))
    assert found is not None, text
    return float(found[1]) * (1e-3 if found[2] == "m" else UNITS.get(found[2] or "", 1))


def _main(template: Manifest) -> Any:
    return template["spec"]["containers"][0]


def _groups(name: str) -> list[tuple[Manifest, Manifest]]:
    return [
        (group, _main(group["template"]))
        for _, spec in ray_specs(overlay(name))
        for group in spec["rayClusterSpec"]["workerGroupSpecs"]
    ]


@each_overlay
def test_heads_run_no_tasks_and_have_no_gpu(name: str) -> None:
    for _, spec in ray_specs(overlay(name)):
        head = spec["rayClusterSpec"]["headGroupSpec"]
        assert head["rayStartParams"]["num-cpus"] == "0"
        assert GPU not in str(_main(head["template"])["resources"])
        assert quantity(_main(head["template"])["resources"]["limits"]["memory"]) >= 2 * 2**30, "the driver is there"


@each_overlay
def test_ray_has_one_version_in_lock_image_and_manifests(name: str) -> None:
    locked = re.search(r"^ray==(\S+)$", (REPOSITORY / "requirements.lock").read_text(), re.MULTILINE)
    assert locked is not None
    for _, spec in ray_specs(overlay(name)):
        assert spec["rayClusterSpec"]["rayVersion"] == locked[1]
    assert f"ARG RAY_VERSION={locked[1]}" in (REPOSITORY / "Dockerfile").read_text()


@each_overlay
def test_groups_are_bounded_and_gpus_come_from_zero_and_go_when_idle(name: str) -> None:
    for group, container in _groups(name):
        assert 0 <= group["minReplicas"] <= group["replicas"] <= group["maxReplicas"] <= 64
        assert 30 <= group["idleTimeoutSeconds"] <= 1800
        if GPU in container["resources"]["limits"]:
            assert group["replicas"] == group["minReplicas"] == 0


@each_overlay
def test_what_ray_counts_is_what_the_container_has(name: str) -> None:
    for group, container in _groups(name):
        requests, limits = container["resources"]["requests"], container["resources"]["limits"]
        assert requests.get(GPU) == limits.get(GPU) == group["rayStartParams"].get("num-gpus")
        assert quantity(requests["cpu"]) == float(group["rayStartParams"]["num-cpus"])


@each_overlay
def test_memory_and_disk_are_requested_as_they_are_limited(name: str) -> None:
    for pod in pods(overlay(name)):
        for container in pod.containers:
            requests, limits = container["resources"]["requests"], container["resources"]["limits"]
            where = f"{pod} {container['name']}"
            assert requests["memory"] == limits["memory"], where
            assert requests["ephemeral-storage"] == limits["ephemeral-storage"], where
            assert quantity(requests["cpu"]) > 0, where
    for _, spec in ray_specs(overlay(name)):
        resources = spec["rayClusterSpec"]["autoscalerOptions"]["resources"]
        assert resources["requests"]["memory"] == resources["limits"]["memory"]


@each_overlay
def test_shared_memory_and_spilled_objects_have_room_of_a_stated_size(name: str) -> None:
    for _, spec in ray_specs(overlay(name)):
        cluster = spec["rayClusterSpec"]
        for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"]):
            container, pod = _main(group["template"]), group["template"]["spec"]
            volumes = {volume["name"]: volume for volume in pod["volumes"]}
            mounted = {mount["mountPath"]: volumes[mount["name"]] for mount in container["volumeMounts"]}
            limits, shared = container["resources"]["limits"], mounted["/dev/shm"]["emptyDir"]
            assert shared["medium"] == "Memory"
            share = quantity(shared["sizeLimit"]) / quantity(limits["memory"])
            assert 0.2 <= share <= 0.5, "it counts as the container's memory"
            assert quantity(mounted["/tmp"]["emptyDir"]["sizeLimit"]) <= quantity(limits["ephemeral-storage"])


@each_overlay
def test_spot_nodes_take_workers_and_never_heads(name: str) -> None:
    for _, spec in ray_specs(overlay(name)):
        cluster = spec["rayClusterSpec"]
        assert "tolerations" not in cluster["headGroupSpec"]["template"]["spec"]
        assert "spot" not in str(cluster["headGroupSpec"])
        if name in PROD:
            first = cluster["workerGroupSpecs"][0]["template"]["spec"]
            assert any("spot" in toleration["key"] for toleration in first["tolerations"])


@each_overlay
def test_workers_end_within_the_notice_of_a_spot_node(name: str) -> None:
    for group, _ in _groups(name):
        assert group["template"]["spec"]["terminationGracePeriodSeconds"] <= 30


@each_overlay
def test_gpu_pods_spread_over_nodes(name: str) -> None:
    for group, container in _groups(name):
        if GPU in container["resources"]["limits"]:
            (spread,) = group["template"]["spec"]["topologySpreadConstraints"]
            wanted = spread["labelSelector"]["matchLabels"].items()
            assert wanted <= group["template"]["metadata"]["labels"].items()


@each_overlay
def test_heads_are_not_drained_and_pods_not_moved(name: str) -> None:
    (budget,) = of_kind(overlay(name), "PodDisruptionBudget")
    assert budget["spec"]["selector"]["matchLabels"] == {"ray.io/node-type": "head"}
    assert budget["spec"]["maxUnavailable"] == 0
    assert budget["spec"]["unhealthyPodEvictionPolicy"] == "AlwaysAllow"
    for _, spec in ray_specs(overlay(name)):
        cluster = spec["rayClusterSpec"]
        for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"]):
            annotations = group["template"]["metadata"]["annotations"]
            assert annotations["karpenter.sh/do-not-disrupt"] == "true"
            assert annotations["cluster-autoscaler.kubernetes.io/safe-to-evict"] == "false"


@each_overlay
def test_every_pod_of_a_job_has_a_priority_that_is_there(name: str) -> None:
    objects = overlay(name)
    classes = {each["metadata"]["name"]: each["value"] for each in of_kind(objects, "PriorityClass")}
    for _, spec in ray_specs(objects):
        cluster = spec["rayClusterSpec"]
        head = cluster["headGroupSpec"]["template"]["spec"]["priorityClassName"]
        for group in cluster["workerGroupSpecs"]:
            assert classes[group["template"]["spec"]["priorityClassName"]] < classes[head]
        assert spec["submitterPodTemplate"]["spec"]["priorityClassName"] in classes


@each_overlay
def test_the_namespace_has_a_quota_that_the_largest_job_fits(name: str) -> None:
    objects = overlay(name)
    (quota,), (_,) = of_kind(objects, "ResourceQuota"), of_kind(objects, "LimitRange")
    most: dict[str, float] = {}
    for _, spec in ray_specs(objects):
        needed: dict[str, float] = {}
        for group in spec["rayClusterSpec"]["workerGroupSpecs"]:
            for key, value in _main(group["template"])["resources"]["requests"].items():
                needed[key] = needed.get(key, 0) + group["maxReplicas"] * quantity(value)
        most = {key: max(most.get(key, 0), value) for key, value in needed.items()}
    for key in ("cpu", "memory", GPU):
        assert most.get(key, 0) <= quantity(quota["spec"]["hard"][f"requests.{key}"])
