"""A copy of a suspended RayJob, against a small API server of the test's own."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from theta_ray.console.rayjob import Api, copy_of, exit_code_of, main, run
from theta_ray.errors import ConfigError, InputError

TEMPLATE: dict[str, Any] = {
    "apiVersion": "ray.io/v1",
    "kind": "RayJob",
    "metadata": {
        "name": "refresh",
        "uid": "1",
        "resourceVersion": "7",
        "labels": {"app": "a"},
        "annotations": {"theta-ray/owner": "me", "kubectl.kubernetes.io/last-applied-configuration": "{}"},
    },
    "spec": {"suspend": True, "entrypoint": "true"},
}
PATH = "/apis/ray.io/v1/namespaces/night/rayjobs"


class Server(ThreadingHTTPServer):
    """Holds RayJobs; each read of one that was created takes the next of `states`."""

    jobs: dict[str, dict[str, Any]]
    states: list[dict[str, Any]]
    token = "secret-token"
    refusal: int | None = None


class Handler(BaseHTTPRequestHandler):
    server: Server

    def _answer(self, code: int, value: dict[str, Any]) -> None:
        data = json.dumps(value).encode()
        self.send_response(code)
        self.end_headers()
        self.wfile.write(data)

    def _is_refused(self) -> bool:
        if self.headers["Authorization"] != f"Bearer {self.server.token}":
            self._answer(401, {"message": "Unauthorized"})
            return True
        if self.server.refusal is not None:
            self._answer(self.server.refusal, {"message": "rayjobs is forbidden"})
            return True
        return False

    def do_GET(self) -> None:
        if self._is_refused():
            return
        name = self.path.removeprefix(f"{PATH}/")
        if name not in self.server.jobs:
            self._answer(404, {"message": f"{name} not found"})
            return
        job = self.server.jobs[name]
        if name != "refresh" and self.server.states:
            job["status"] = self.server.states.pop(0)
        self._answer(200, job)

    def do_POST(self) -> None:
        if self._is_refused():
            return
        assert self.path == PATH
        job = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        name = job["metadata"]["name"]
        if name in self.server.jobs:
            self._answer(409, {"message": "already exists"})
            return
        self.server.jobs[name] = job
        self._answer(201, job)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server(("127.0.0.1", 0), Handler) as made:
        made.jobs, made.states = {"refresh": TEMPLATE}, []
        thread = threading.Thread(target=made.serve_forever, daemon=True)
        thread.start()
        yield made
        made.shutdown()
        thread.join()


@pytest.fixture
def api(server: Server, tmp_path: Path) -> Api:
    (tmp_path / "token").write_text(server.token + "\n")
    return Api(f"http://127.0.0.1:{server.server_address[1]}", "night", tmp_path / "token")


def state(deployment: str, job: str = "", **more: str) -> dict[str, Any]:
    return {"jobDeploymentStatus": deployment, "jobStatus": job, **more}


def test_a_copy_runs_to_its_end_and_its_code_is_that_of_the_driver(server: Server, api: Api) -> None:
    failed = "Job entrypoint command failed with exit code 4, last available logs (truncated to 20,000 chars): ..."
    server.states = [
        {},
        state("Initializing"),
        state("Running", "RUNNING"),
        state("Retrying", "FAILED", reason="AppFailed"),
        state("Running", "RUNNING"),
        state("Failed", "FAILED", reason="AppFailed", message=failed),
    ]
    waits: list[float] = []
    assert run(api, "refresh", "refresh-29384910", waits.append) == 4
    assert len(waits) == 5
    made = server.jobs["refresh-29384910"]
    assert made["spec"] == {"suspend": False, "entrypoint": "true"}
    assert made["metadata"] == {
        "name": "refresh-29384910",
        "labels": {"app": "a", "theta-ray/run-id": "refresh-29384910", "theta-ray/template": "refresh"},
        "annotations": {"theta-ray/owner": "me"},
    }


def test_a_pod_that_is_started_again_waits_for_the_job_of_its_first_start(server: Server, api: Api) -> None:
    server.jobs["refresh-1"] = {"metadata": {"name": "refresh-1"}, "status": state("Complete", "SUCCEEDED")}
    assert run(api, "refresh", "refresh-1") == 0
    assert len(server.jobs) == 2


def test_a_copy_goes_with_the_tick_that_made_it(server: Server, api: Api) -> None:
    server.states = [state("Complete", "SUCCEEDED")]
    assert run(api, "refresh", "refresh-2", job_uid="1-2") == 0
    owner = {"apiVersion": "batch/v1", "kind": "Job", "name": "refresh-2", "uid": "1-2"}
    assert server.jobs["refresh-2"]["metadata"]["ownerReferences"] == [owner]


def test_a_queue_starts_the_copy_itself() -> None:
    template = {**TEMPLATE, "metadata": {"name": "refresh", "annotations": {"theta-ray/queue": "night"}}}
    made = copy_of(template, "refresh-1")
    assert made["spec"]["suspend"] is True
    assert made["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "night"
    assert made["metadata"]["annotations"] == {}


@pytest.mark.parametrize(
    ("status", "code"),
    [
        ({}, None),
        (state("Suspended"), None),
        (state("Waiting"), None),
        (state("Complete", "SUCCEEDED"), 0),
        (state("Complete", "STOPPED"), 7),
        (state("Failed", "FAILED", reason="AppFailed", message="exit code 99"), 1),
        (state("Failed", reason="DeadlineExceeded"), 6),
        (state("Failed", reason="PreRunningDeadlineExceeded"), 6),
        (state("Failed", reason="JobStatusCheckTimeoutExceeded"), 6),
        (state("ValidationFailed", reason="ValidationFailed"), 2),
    ],
)
def test_each_end_has_its_code(status: dict[str, Any], code: int | None) -> None:
    assert exit_code_of(status) == code


@pytest.mark.parametrize("name", ["Refresh", "a" * 48, "-a", "a-", "a_b", "../../pods"])
def test_a_name_that_kubernetes_refuses_is_a_mistake_before_anything_is_asked(name: str) -> None:
    with pytest.raises(ConfigError, match="is no name for a RayJob"):
        copy_of(TEMPLATE, name)


def test_a_job_that_runs_is_no_template() -> None:
    with pytest.raises(ConfigError, match="is not suspended"):
        copy_of({**TEMPLATE, "spec": {"suspend": False}}, "a")


def test_what_the_server_refuses_is_told_in_one_line_without_the_token(server: Server, api: Api) -> None:
    server.refusal = 403
    with pytest.raises(InputError) as told:
        run(api, "refresh", "refresh-1")
    assert "403 rayjobs is forbidden; see the Role theta-ray-nightly" in str(told.value)
    assert server.token not in str(told.value)


def test_a_template_that_is_not_there_is_told(api: Api) -> None:
    with pytest.raises(InputError, match="404 other not found"):
        run(api, "other", "refresh-1")


def test_outside_a_pod_it_says_so(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    with pytest.raises(SystemExit) as stop:
        main(["refresh", "refresh-1"])
    assert stop.value.code == 3
    assert "this is no pod with a service account" in capsys.readouterr().err
