"""A suspended RayJob as a template, and a copy of it that runs: its end and exit code become those of this process.

    python -m theta_ray.console.rayjob theta-ray-refresh      in a pod that may create rayjobs (k8s/base/cronjob.yaml)

1. The copy is named after the pod's Job, one for each tick of a CronJob: a pod that is started again finds it.
2. The template's annotation `theta-ray/queue` becomes the copy's label of Kueue.
3. Each change of its state is a line of the log; other jobs of the cluster are left alone.

Only the standard library: the API server's client is not among this package's dependencies.
"""

from __future__ import annotations

import json
import logging
import os
import re
import ssl
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from theta_ray.errors import EXIT_CODES, ConfigError, InputError, PreemptedError, TransientError
from theta_ray.runtime import leave

logger = logging.getLogger(__name__)
ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
JOB_NAME, JOB_UID = "THETA_RAY_JOB_NAME", "THETA_RAY_JOB_UID"
# KubeRay makes names of clusters, services and pods of it
MAX_NAME = 47
POLL_SECONDS = 10.0
MAX_FAILURES = 60
# What stopped a job that did not leave by itself; KubeRay's own names.
REASONS = {
    "DeadlineExceeded": TransientError.exit_code,
    "PreRunningDeadlineExceeded": TransientError.exit_code,
    "JobStatusCheckTimeoutExceeded": TransientError.exit_code,
    "SubmissionFailed": TransientError.exit_code,
    "ValidationFailed": ConfigError.exit_code,
}


@dataclass(frozen=True)
class Api:
    """An API server and one namespace of it."""

    url: str
    namespace: str
    token_path: Path
    context: ssl.SSLContext | None = None

    @classmethod
    def of_pod(cls, account: Path = ACCOUNT) -> Api:
        """The one that this pod's service account speaks with."""
        try:
            host, port = os.environ["KUBERNETES_SERVICE_HOST"], os.environ["KUBERNETES_SERVICE_PORT"]
            namespace = (account / "namespace").read_text().strip()
            context = ssl.create_default_context(cafile=str(account / "ca.crt"))
        except (KeyError, OSError) as error:
            raise InputError(
                f"{account}: this is no pod with a service account ({error}); see k8s/README.md"
            ) from error
        host = f"[{host}]" if ":" in host else host
        return cls(f"https://{host}:{port}", namespace, account / "token", context)

    def rayjobs(self, name: str = "", body: dict[str, Any] | None = None) -> dict[str, Any]:
        """One RayJob; with a body, it is created.

        Raises:
            InputError: the server refuses, with its own words.
            TransientError: it does not answer.
        """
        path = f"/apis/ray.io/v1/namespaces/{self.namespace}/rayjobs" + (f"/{name}" if name else "")
        request = urllib.request.Request(self.url + path, None if body is None else json.dumps(body).encode())
        request.add_header("Content-Type", "application/json")
        # tokens of pods are renewed while they run
        request.add_header("Authorization", f"Bearer {self.token_path.read_text().strip()}")
        try:
            with urllib.request.urlopen(request, timeout=30, context=self.context) as response:
                found = json.load(response)
        except urllib.error.HTTPError as error:
            raise _refusal(error, path) from error
        except (OSError, ValueError) as error:
            raise TransientError(f"{self.url}: does not answer ({error}); run it again") from error
        return dict(found)


class AlreadyThereError(InputError):
    """There is a RayJob of that name."""


def _refusal(error: urllib.error.HTTPError, path: str) -> InputError | TransientError:
    try:
        said = json.loads(error.read()).get("message", "")
    except ValueError:
        said = ""
    if error.code == 409:
        return AlreadyThereError(f"{path}: is there already; take another name")
    if error.code == 429 or error.code >= 500:
        return TransientError(f"{path}: {error.code} {said}; run it again")
    hint = "see the Role theta-ray-nightly" if error.code == 403 else "see `kubectl get rayjobs`"
    return InputError(f"{path}: {error.code} {said or error.reason}; {hint}")


def copy_of(template: dict[str, Any], name: str, job_uid: str = "") -> dict[str, Any]:
    """A RayJob that runs, from one that is suspended.

    Args:
        template: the suspended one.
        name: of the copy, and of the Job that makes it where `job_uid` is given.
        job_uid: of that Job. When the schedule's history drops it, Kubernetes removes the copy as well.

    Raises:
        ConfigError: the template is not suspended, or the name is none for a RayJob.
    """
    source = template["metadata"]["name"]
    if not re.fullmatch(rf"[a-z]([-a-z0-9]{{0,{MAX_NAME - 2}}}[a-z0-9])?", name):
        raise ConfigError(f"{name}: is no name for a RayJob; at most {MAX_NAME} small letters, digits and hyphens")
    if not template["spec"].get("suspend"):
        raise ConfigError(f"RayJob {source}: is not suspended, so it is no template; see k8s/base/rayjob")
    annotations = {
        key: value for key, value in template["metadata"].get("annotations", {}).items() if key.startswith("theta-ray/")
    }
    labels = {**template["metadata"].get("labels", {}), "theta-ray/run-id": name, "theta-ray/template": source}
    queue = annotations.pop("theta-ray/queue", None)
    if queue is not None:
        labels["kueue.x-k8s.io/queue-name"] = queue
    # Kueue itself starts what it has room for
    spec = {**template["spec"], "suspend": queue is not None}
    metadata = {"name": name, "labels": labels, "annotations": annotations}
    if job_uid:
        metadata["ownerReferences"] = [{"apiVersion": "batch/v1", "kind": "Job", "name": name, "uid": job_uid}]
    return {"apiVersion": template["apiVersion"], "kind": "RayJob", "metadata": metadata, "spec": spec}


def exit_code_of(status: dict[str, Any]) -> int | None:
    """The exit code of a RayJob that has ended; None while it runs, waits or is tried again."""
    state, reason = status.get("jobDeploymentStatus"), status.get("reason", "")
    if state == "ValidationFailed":
        return REASONS[state]
    if state not in ("Complete", "Failed"):
        return None
    if status.get("jobStatus") == "SUCCEEDED":
        return 0
    if status.get("jobStatus") == "STOPPED":
        return PreemptedError.exit_code
    # Ray: "Job entrypoint command failed with exit code 4, last available logs ..."
    told = re.search(r"exit code (\d+)", status.get("message", ""))
    if told and int(told[1]) in EXIT_CODES:
        return int(told[1])
    return REASONS.get(reason, 1)


def run(api: Api, template: str, name: str, sleep: Callable[[float], None] = time.sleep, job_uid: str = "") -> int:
    """Create the copy, or find the one of an earlier start of this pod, and wait for its end."""
    try:
        api.rayjobs(body=copy_of(api.rayjobs(template), name, job_uid))
        logger.info("rayjob %s: created from %s", name, template)
    except AlreadyThereError:
        logger.info("rayjob %s: is there already and is waited for", name)
    seen, failures = "", 0
    while True:
        try:
            status = api.rayjobs(name).get("status") or {}
            failures = 0
        except TransientError:
            failures += 1
            if failures > MAX_FAILURES:
                raise
            status = {}
        code = exit_code_of(status)
        told = " ".join(str(status[key]) for key in ("jobDeploymentStatus", "jobStatus", "reason") if status.get(key))
        if told and told != seen:
            seen = told
            logger.info("rayjob %s: %s", name, told)
        if code is not None:
            return code
        sleep(POLL_SECONDS)


def main(argv: Sequence[str] | None = None) -> None:
    """`TEMPLATE [NAME]`; without a name, that of the pod's Job."""
    given = list(sys.argv[1:] if argv is None else argv)

    def work() -> int:
        name = given[1] if len(given) > 1 else os.environ.get(JOB_NAME, "")
        if not given or len(given) > 2 or not name:
            raise ConfigError(f"usage: python -m theta_ray.console.rayjob TEMPLATE [NAME]; NAME may be in {JOB_NAME}")
        uid = os.environ.get(JOB_UID, "") if len(given) == 1 else ""
        return run(Api.of_pod(), given[0], name, job_uid=uid)

    leave("rayjob", work)


if __name__ == "__main__":
    main()
