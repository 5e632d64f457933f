"""The command of a rendered RayJob, from raw files to the page, in a pod as its template asks for.

Bubblewrap stands in for Kubernetes: user 1000, a root that is only read, the template's own folders to write to, no
network but the loopback address, no token file. One pod is head and worker, and a folder stands in for the bucket.
"""

from __future__ import annotations

import secrets
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import REPOSITORY
from tests.k8s.rendered import Manifest, of_kind, overlay
from theta_ray.corpus.sample import write_sample
from theta_ray.publication import Publications

pytestmark = [pytest.mark.k8s, pytest.mark.ray]
BUCKET = "/bucket"
SECONDS = 600
# Of the machine, what the image's base has; its libraries may be links to others.
SYSTEM = ("/usr", "/bin", "/lib", "/lib64", "/etc/ld.so.cache", "/etc/nsswitch.conf", "/etc/hosts")
# What the image of the Dockerfile sets, and KubeRay 1.7 for a head whose cluster has authOptions.mode: token.
OF_IMAGE = {
    "PYTHONUNBUFFERED": "1",
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONPATH": "/opt/theta_ray",
    "LC_ALL": "C.UTF-8",
}
OF_KUBERAY = {"RAY_AUTH_MODE": "token", "RAY_ADDRESS": "127.0.0.1:6379", "RAY_PORT": "6379"}
PLACE = """\
import os, socket
assert (os.getuid(), os.getgid()) == (1000, 1000)
assert [name for _, name in socket.if_nameindex()] == ["lo"]
for folder in ("/", "/opt/theta_ray", "/etc/theta-ray", "/usr", "/models", "/dev"):
    assert not os.access(folder, os.W_OK), folder
"""


@pytest.fixture(autouse=True)
def _sandboxes() -> None:
    """Skip where bubblewrap is missing or may not make namespaces."""
    if shutil.which("bwrap") is None:
        pytest.skip("no bwrap on the PATH: apt install bubblewrap")
    tried = subprocess.run(["bwrap", "--unshare-all", "--ro-bind", "/", "/", "true"], capture_output=True, text=True)
    if tried.returncode:
        pytest.skip(f"bwrap cannot make namespaces here: {tried.stderr.strip()}")


def _refresh_job(objects: tuple[Manifest, ...]) -> Manifest:
    (found,) = [job for job in of_kind(objects, "RayJob") if job["metadata"]["name"] == "theta-ray-refresh"]
    return dict(found["spec"])


def _config_map(objects: tuple[Manifest, ...], name: str) -> dict[str, str]:
    """Values of a ConfigMap, the demonstration's bucket replaced with the folder."""
    (found,) = [each for each in of_kind(objects, "ConfigMap") if each["metadata"]["name"] == name]
    return {key: value.replace("s3://theta-ray", BUCKET) for key, value in found["data"].items()}


def _variables(objects: tuple[Manifest, ...], container: Manifest) -> dict[str, str]:
    values = {
        **OF_IMAGE,
        **OF_KUBERAY,
        "RAY_AUTH_TOKEN": secrets.token_hex(32),
        "PATH": f"/opt/bin:{sys.prefix}/bin:/usr/bin:/bin",
    }
    for source in container["envFrom"]:
        if "configMapRef" in source:
            values |= _config_map(objects, source["configMapRef"]["name"])
    del values["AWS_ENDPOINT_URL"]  # of the server that the folder replaces
    for each in container["env"]:
        values[each["name"]] = each.get("value") or secrets.token_hex(32)  # a secret's
    return values


def _mounts(objects: tuple[Manifest, ...], template: dict[str, Any], folder: Path) -> list[str]:
    """The template's volumes at their places: empty ones, and read-only folders of files."""
    volumes, options = {each["name"]: each for each in template["volumes"]}, list[str]()
    for mount in template["containers"][0]["volumeMounts"]:
        volume, place = volumes[mount["name"]], mount["mountPath"]
        if "emptyDir" in volume:
            options += ["--tmpfs", place]
            continue
        assert mount["readOnly"], place
        source = folder / mount["name"]
        source.mkdir()
        for name, text in _config_map(objects, volume["configMap"]["name"]).items() if "configMap" in volume else ():
            # the planted damage is a large share of so few posts
            (source / name).write_text(text.replace("max_damaged_share: 0.02", "max_damaged_share: 1"))
        options += ["--ro-bind", str(source), place]
    return options


def _image(folder: Path) -> list[str]:
    """What the Dockerfile copies, at its places; the environment of this test at its own."""
    (folder / "passwd").write_text("theta:x:1000:1000::/tmp:/usr/sbin/nologin\n")
    command = folder / "bin" / "theta-ray"  # pip makes it of pyproject.toml's [project.scripts]
    command.parent.mkdir()
    command.write_text('#!/bin/sh\nexec python -m theta_ray.console "$@"\n')
    command.chmod(0o755)
    pairs = [(path, path) for path in (*SYSTEM, *dict.fromkeys((sys.base_prefix, sys.prefix)))]
    pairs += [
        (str(REPOSITORY / name), f"/opt/theta_ray/{name}")
        for name in ("theta_ray", "jobs", "recipes", "cluster_configs")
    ]
    pairs += [(str(folder / "passwd"), "/etc/passwd"), (str(command.parent), "/opt/bin")]
    return [word for source, place in pairs for word in ("--ro-bind-try", source, place)]


def _pod(objects: tuple[Manifest, ...], job: Manifest, folder: Path, bucket: Path) -> list[str]:
    """Bubblewrap's command for the head's pod, without what it runs."""
    template = job["rayClusterSpec"]["headGroupSpec"]["template"]["spec"]
    container, user = template["containers"][0], str(template["securityContext"]["runAsUser"])
    assert container["securityContext"]["readOnlyRootFilesystem"]
    options = ["--unshare-all", "--die-with-parent", "--uid", user, "--gid", user, "--proc", "/proc", "--dev", "/dev"]
    options += [*_mounts(objects, template, folder), *_image(folder), "--bind", str(bucket), BUCKET]
    options += ["--remount-ro", "/dev", "--remount-ro", "/", "--chdir", container["workingDir"], "--clearenv"]
    for name, value in _variables(objects, container).items():
        options += ["--setenv", name, value]
    return ["bwrap", *options]


def test_the_command_of_a_job_ends_with_a_published_night_in_a_pod_like_its_own(tmp_path: Path, minilm: Path) -> None:
    assert minilm.is_dir()
    objects, bucket, folder = overlay("kind"), tmp_path / "bucket", tmp_path / "pod"
    write_sample(bucket / "sample", num_posts=300)
    folder.mkdir()
    job = _refresh_job(objects)
    (workers,) = job["rayClusterSpec"]["workerGroupSpecs"]
    params = {**job["rayClusterSpec"]["headGroupSpec"]["rayStartParams"], **workers["rayStartParams"]}
    start = ["ray", "start", "--head", *(f"--{name}={value}" for name, value in params.items())]
    script = (
        f"{shlex.join(['python', '-c', PLACE])}\n{shlex.join(start)}\n({job['entrypoint']})\ntest ! -e $HOME/.ray\n"
    )
    command = [*_pod(objects, job, folder, bucket), "--", "sh", "-euc", script]
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    assert not [line for line in done.stdout.splitlines() if line.startswith("fail")]
    published = Publications(str(bucket / "tables"), "sample").read()
    assert published is not None
    assert {"corpus", "embeddings", "topics", "edges", "report"} <= published["tables"].keys()
