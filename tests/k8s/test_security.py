"""Checks 26 to 40 of docs/kubernetes.md over every overlay: no privilege, open port, secret or unpinned image."""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.conftest import REPOSITORY
from tests.k8s.rendered import OVERLAYS, PROD, Manifest, of_kind, overlay, pods, ray_specs

each_overlay = pytest.mark.parametrize("name", OVERLAYS)
WRITABLE = {"/tmp", "/dev/shm", "/data", "/models"}


def _restricted(context: Manifest) -> bool:
    return (
        context["allowPrivilegeEscalation"] is False
        and context["readOnlyRootFilesystem"] is True
        and context["runAsNonRoot"] is True
        and context["capabilities"] == {"drop": ["ALL"]}
        and not context.get("privileged")
    )


@each_overlay
def test_all_containers_are_restricted_and_so_is_the_namespace(name: str) -> None:
    objects = overlay(name)
    (namespace,) = of_kind(objects, "Namespace")
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    for pod in pods(objects):
        context = pod.spec["securityContext"]
        assert context["runAsNonRoot"], str(pod)
        assert context["runAsUser"] >= 1000, str(pod)
        assert context["seccompProfile"] == {"type": "RuntimeDefault"}, str(pod)
        assert all(_restricted(container["securityContext"]) for container in pod.containers), str(pod)
        assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.spec.keys(), str(pod)
        assert not any("hostPath" in volume for volume in pod.spec.get("volumes", ())), str(pod)
    for _, spec in ray_specs(objects):  # the operator adds this container to the head's pod
        assert _restricted(spec["rayClusterSpec"]["autoscalerOptions"]["securityContext"])


@each_overlay
def test_only_named_folders_can_be_written(name: str) -> None:
    for pod in pods(overlay(name)):
        for container in pod.containers:
            mounts = container["volumeMounts"]
            assert {mount["mountPath"] for mount in mounts if not mount.get("readOnly")} <= WRITABLE, str(pod)
            if "fetch-model" not in pod.owner:
                assert all(mount.get("readOnly") for mount in mounts if mount["mountPath"] == "/models"), str(pod)
            environment = {each["name"]: each.get("value") for each in container.get("env", ())}
            assert environment.get("HOME", "/tmp") == "/tmp"


@each_overlay
def test_clusters_ask_for_a_token(name: str) -> None:
    for _, spec in ray_specs(overlay(name)):
        assert spec["rayClusterSpec"]["authOptions"] == {"mode": "token", "secretName": "theta-ray-auth"}


@each_overlay
def test_no_secret_is_in_the_manifests(name: str) -> None:
    objects = overlay(name)
    assert not of_kind(objects, "Secret")
    text = json.dumps(objects)
    assert not re.search(r"AKIA[0-9A-Z]{16}|BEGIN [A-Z ]*PRIVATE KEY|hf_[A-Za-z0-9]{20,}|aws_secret_access_key", text)
    for pod in pods(objects):
        for container in pod.containers:
            for variable in container.get("env", ()):
                is_secret = re.search(r"KEY|TOKEN|SECRET|PASSWORD", variable["name"])
                assert not (is_secret and "value" in variable), f"{pod} {variable['name']}"
    for settings in of_kind(objects, "ConfigMap"):
        assert not any(re.search(r"SECRET|PASSWORD|ACCESS_KEY", key) for key in settings.get("data", {}))


def _rules(objects: tuple[Manifest, ...], way: str) -> Iterator[tuple[Manifest, Manifest]]:
    for policy in of_kind(objects, "NetworkPolicy"):
        for rule in policy["spec"].get(way, ()):
            yield policy, rule


def _selects(policy: Manifest, labels: dict[str, str]) -> bool:
    selector = policy["spec"]["podSelector"]
    if not selector.get("matchLabels", {}).items() <= labels.items():
        return False
    for need in selector.get("matchExpressions", ()):
        value = labels.get(need["key"])
        if need["operator"] == "Exists" and value is None:
            return False
        if need["operator"] == "In" and value not in need["values"]:
            return False
    return True


HEAD = {"ray.io/cluster": "a", "ray.io/node-type": "head", "theta-ray/role": "head"}
WORKER = {"ray.io/cluster": "a", "ray.io/node-type": "worker", "theta-ray/role": "gpu-worker"}


@each_overlay
def test_everything_is_denied_that_is_not_named(name: str) -> None:
    deny = next(e for e in of_kind(overlay(name), "NetworkPolicy") if e["metadata"]["name"] == "theta-ray-default-deny")
    assert deny["spec"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}


@each_overlay
def test_rays_ports_are_open_to_its_own_pods_the_submitter_and_the_operator_only(name: str) -> None:
    for policy, rule in _rules(overlay(name), "ingress"):
        if not _selects(policy, HEAD):
            continue
        ports = {port["port"] for port in rule.get("ports", ())}
        if ports and ports <= {8080, 44217, 44227}:
            assert "prometheus" in str(rule["from"])
            continue
        for source in rule["from"]:
            assert "ipBlock" not in source
            assert source.get("namespaceSelector") != {}
            if ports == {8265}:
                assert re.search("job-name|kuberay-operator", str(source))
            else:
                assert source == {
                    "podSelector": {"matchExpressions": [{"key": "ray.io/cluster", "operator": "Exists"}]}
                }


@each_overlay
def test_credentials_of_nodes_are_out_of_reach_and_the_api_server_is_for_heads(name: str) -> None:
    objects = overlay(name)
    for labels, may_ask_api in ((HEAD, True), (WORKER, False)):
        for policy, rule in _rules(objects, "egress"):
            if not _selects(policy, labels):
                continue
            for block in [to["ipBlock"] for to in rule.get("to", ()) if "ipBlock" in to]:
                assert not _reaches(block, "169.254.169.254")
                if not may_ask_api:  # service and pod ranges of clusters are private addresses
                    assert not any(_reaches(block, address) for address in ("10.96.0.1", "172.20.0.1", "192.168.1.1"))
            assert rule.get("to"), f"{policy['metadata']['name']} lets everything out"


def _reaches(block: Manifest, address: str) -> bool:
    one = ipaddress.ip_address(address)
    inside = one in ipaddress.ip_network(block["cidr"])
    return inside and not any(one in ipaddress.ip_network(each) for each in block.get("except", ()))


@each_overlay
def test_nothing_is_published_outside_the_cluster(name: str) -> None:
    objects = overlay(name)
    assert not of_kind(objects, "Ingress", "HTTPRoute", "Gateway")
    assert all(each["spec"].get("type", "ClusterIP") == "ClusterIP" for each in of_kind(objects, "Service"))
    for _, spec in ray_specs(objects):
        assert "serviceType" not in spec["rayClusterSpec"]["headGroupSpec"]


@each_overlay
def test_accounts_have_what_they_need_and_workers_no_token(name: str) -> None:
    objects = overlay(name)
    accounts = {each["metadata"]["name"]: each for each in of_kind(objects, "ServiceAccount")}
    for role in of_kind(objects, "Role", "ClusterRole"):
        assert role["kind"] == "Role"
        assert all("*" not in rule["verbs"] + rule["resources"] + rule["apiGroups"] for rule in role["rules"])
        assert "secrets" not in str(role["rules"])
    for _, spec in ray_specs(objects):
        cluster = spec["rayClusterSpec"]
        head = cluster["headGroupSpec"]["template"]["spec"]["serviceAccountName"]
        for group in cluster["workerGroupSpecs"]:
            pod = group["template"]["spec"]
            assert pod["serviceAccountName"] in accounts
            assert pod["serviceAccountName"] != head
            assert pod["automountServiceAccountToken"] is False
    bound = {s["name"] for each in of_kind(objects, "RoleBinding") for s in each["subjects"]}
    assert bound == {"theta-ray-head", "theta-ray-nightly"} <= accounts.keys()


@pytest.mark.parametrize("name", PROD)
def test_clouds_give_a_role_to_the_account_and_not_a_key(name: str) -> None:
    accounts = {
        e["metadata"]["name"]: e["metadata"].get("annotations", {}) for e in of_kind(overlay(name), "ServiceAccount")
    }
    wanted = {"prod-aws": "eks.amazonaws.com/role-arn", "prod-gcp": "iam.gke.io/gcp-service-account"}[name]
    assert wanted in accounts["theta-ray-head"]
    assert wanted in accounts["theta-ray-worker"]
    assert wanted not in accounts["theta-ray-nightly"]


def test_the_policy_of_the_bucket_reads_inputs_and_creates_tables_without_replacing_any() -> None:
    policy = json.loads((REPOSITORY / "k8s" / "overlays" / "prod-aws" / "iam-policy.json").read_text())
    by_name: dict[str, Any] = {each["Sid"]: each for each in policy["Statement"]}
    assert by_name["ReadInputs"]["Action"] == ["s3:GetObject"]
    writes = [each for each in by_name.values() if "s3:PutObject" in each["Action"]]
    for each in writes:
        assert each.get("Condition") == {"Null": {"s3:if-none-match": "false"}} or each["Resource"][0].endswith(
            "/lease/*"
        )
    assert all("*" not in each["Action"] and "s3:*" not in each["Action"] for each in by_name.values())


@pytest.mark.parametrize("name", PROD)
def test_images_are_pinned_by_digest_and_of_one_registry(name: str) -> None:
    images = {c["image"] for pod in pods(overlay(name)) for c in pod.containers}
    assert all(re.fullmatch(r"[\w.-]+(/[\w-]+)+@sha256:[0-9a-f]{64}", image) for image in images), images
    assert len({image.split("/")[0] for image in images}) == 1
    policies = {c["imagePullPolicy"] for pod in pods(overlay(name)) for c in pod.containers}
    assert policies == {"IfNotPresent"}


@pytest.mark.parametrize("name", PROD)
def test_models_come_from_one_checked_job_and_workers_are_offline(name: str) -> None:
    objects = overlay(name)
    (fetch,) = [each for each in of_kind(objects, "Job") if "fetch-model" in each["metadata"]["name"]]
    pinned = next(
        e["data"] for e in of_kind(objects, "ConfigMap") if e["metadata"]["name"].startswith("theta-ray-model-")
    )
    assert re.fullmatch(r"[0-9a-f]{40}", pinned["THETA_RAY_MODEL_REVISION"])
    assert re.fullmatch(r"[0-9a-f]{64}", pinned["THETA_RAY_MODEL_SHA256"])
    (container,) = fetch["spec"]["template"]["spec"]["containers"]
    assert container["envFrom"][0]["configMapRef"]["name"].startswith("theta-ray-model-")
    for pod in pods(objects):
        if pod.part in ("head", "gpu", "cpu"):
            environment = {each["name"]: each.get("value") for each in pod.containers[0]["env"]}
            assert environment["HF_HUB_OFFLINE"] == environment["TRANSFORMERS_OFFLINE"] == "1"


def test_the_demonstration_runs_the_sample_without_a_gpu() -> None:
    objects = overlay("kind")
    assert any(each["metadata"]["name"] == "theta-ray-sample" for each in of_kind(objects, "Job"))
    assert "nvidia.com/gpu" not in str([spec for _, spec in ray_specs(objects)])
    total = sum(
        float(re.sub(r"[^\d.]", "", pod.containers[0]["resources"]["requests"]["memory"]))
        for pod in pods(objects)
        if pod.owner == "RayJob theta-ray-refresh"
    )
    assert total <= 700, "a laptop has room"  # Gi and Mi, as they are written
