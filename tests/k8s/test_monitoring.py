"""Alerts and panels name metrics that are there and runbooks that are written."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from tests.conftest import REPOSITORY
from tests.k8s.rendered import K8S, PROD, of_kind, overlay
from theta_ray.metrics import METRICS

# Of KubeRay 1.7, of kube-state-metrics 2, and of Ray 2.60 itself, with the labels that are used here.
OF_OTHERS = {
    "kuberay_job_deployment_status": {"deployment_status", "name", "namespace"},
    "ray_cluster_failed_nodes": {"node_type"},
    "kube_cronjob_status_last_successful_time": {"cronjob", "namespace"},
}
BUILT_IN = {"by", "histogram_quantile", "increase", "le", "max", "max_over_time", "or", "rate", "sum", "time"}


def _expressions() -> Iterator[str]:
    for name in PROD:
        (rule,) = of_kind(overlay(name), "PrometheusRule")
        for group in rule["spec"]["groups"]:
            yield from (each["expr"] for each in group["rules"])
    board = json.loads((K8S / "components" / "monitoring" / "dashboard.json").read_text())
    for panel in board["panels"]:
        yield from (target["expr"] for target in panel["targets"])


def _known() -> dict[str, set[str]]:
    known = dict(OF_OTHERS)
    for name, metric in METRICS.items():
        # Ray puts its own name before a job's metrics; a histogram is exported as buckets, sum and count
        parts = ("_bucket", "_count", "_sum") if metric.kind == "histogram" else ("",)
        known |= {f"ray_{name}{part}": {*metric.labels, *(("le",) if part else ())} for part in parts}
    return known


def test_expressions_name_metrics_and_labels_that_the_code_exports() -> None:
    known, seen = _known(), set()
    for expression in _expressions():
        bare = re.sub(r'"[^"]*"|\[\d+[a-z]\]', "", expression)
        metrics = set(re.findall(r"\b(?:ray|kuberay|kube)_\w+", bare))
        assert metrics, expression
        assert metrics <= known.keys(), expression
        labels = set().union(*(known[metric] for metric in metrics))
        words = set(re.findall(r"\b[a-z_]+\b", bare)) - metrics - BUILT_IN
        assert words <= labels, f"{expression}: {words - labels}"
        seen |= metrics
    assert {f"ray_{name}" for name in METRICS} <= {name.removesuffix("_bucket") for name in seen}


def test_every_alert_has_a_runbook_that_is_written() -> None:
    text = (REPOSITORY / "docs" / "operations.md").read_text()
    anchors = {
        re.sub(r"[^\w -]", "", line.strip("# ").lower()).replace(" ", "-")
        for line in text.splitlines()
        if line[:1] == "#"
    }
    (rule,) = of_kind(overlay("prod-aws"), "PrometheusRule")
    rules = [each for group in rule["spec"]["groups"] for each in group["rules"]]
    assert len(rules) >= 8
    for each in rules:
        file, _, anchor = each["annotations"]["runbook"].partition("#")
        assert file == "docs/operations.md"
        assert anchor in anchors, each["alert"]


def test_pods_of_clusters_are_scraped_where_their_policy_lets_prometheus_in() -> None:
    for name in PROD:
        objects = overlay(name)
        (monitor,) = of_kind(objects, "PodMonitor")
        ports = {each["port"] for each in monitor["spec"]["podMetricsEndpoints"]}
        head = next(job for job in of_kind(objects, "RayJob"))["spec"]["rayClusterSpec"]["headGroupSpec"]["template"]
        named = {port["name"]: port["containerPort"] for port in head["spec"]["containers"][0]["ports"]}
        assert ports <= named.keys()
        policy = next(e for e in of_kind(objects, "NetworkPolicy") if e["metadata"]["name"] == "theta-ray-prometheus")
        assert {port["port"] for port in policy["spec"]["ingress"][0]["ports"]} == {named[port] for port in ports}
