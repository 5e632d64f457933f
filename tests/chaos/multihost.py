"""A submitted night on three hosts, one of which loses its link; the S3 server has a host of its own."""

from __future__ import annotations

import contextlib
import json
import secrets
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import fsspec
import yaml

from tests.chaos import oracle
from tests.chaos.hosts import Host, hosts
from tests.chaos.jobs import REPOSITORY, Outcome, Steps
from tests.chaos.reader import PollingReader
from tests.conftest import S3, environment, seaweedfs
from tests.heads import clean_environment
from tests.models import save_bert
from tests.nights import NIGHTS, nightly_recipe, posts_of, write_night

FAULT = "link of one of two worker hosts cut in the middle of a submitted night"
DAY = NIGHTS[1]
SECONDS_TO_WAIT = 300.0
FILES, POSTS = [f"f{number:02d}" for number in range(12)], 150
# A host that does not answer is given up after about 5 seconds instead of 40.
HEALTH = {
    "RAY_health_check_period_ms": "500",
    "RAY_health_check_timeout_ms": "1500",
    "RAY_health_check_failure_threshold": "3",
}
HEALTH |= {"RAY_health_check_initial_delay_ms": "0", "RAY_BACKEND_LOG_LEVEL": "fatal"}
RESOURCES = {"threads_per_actor": 1, "batch_tokens": 512, "lease_seconds": 12, "max_retries": 100}


@dataclass(frozen=True)
class MultiHost:
    """A running cluster and its store."""

    folder: Path
    head: Host
    workers: tuple[Host, Host]
    store: S3
    variables: dict[str, str]
    """Of all hosts, and of whoever submits."""
    steps: Steps

    @property
    def address(self) -> str:
        return f"http://{self.head.address}:8265"

    def states(self) -> list[str]:
        """What the head says of each node: ALIVE or DEAD."""
        token = {"Authorization": f"Bearer {self.variables['RAY_AUTH_TOKEN']}"}
        with urllib.request.urlopen(
            urllib.request.Request(f"{self.address}/api/v0/nodes", headers=token), timeout=10
        ) as got:
            return sorted(node["state"] for node in json.load(got)["data"]["result"]["result"])

    def start_node(self, host: Host, *options: str) -> None:
        """A Ray node on a host; return when the head knows it."""
        ray = [sys.executable, "-m", "ray.scripts.scripts", "start", "--block", "--disable-usage-stats"]
        ray += [f"--node-ip-address={host.address}", f"--temp-dir={host.shared}", f"--object-store-memory={2**27}"]
        ray += ["--metrics-export-port=8080"]
        known = 0 if "--head" in options else len(self.states())
        process = host.start(*ray, *options, environment=self.variables, log=self.folder / f"{host.name}.log")
        deadline = time.monotonic() + SECONDS_TO_WAIT
        while process.poll() is None and time.monotonic() < deadline:
            with contextlib.suppress(OSError):  # nobody listens yet, or what answers is yet to come
                if self.states() == ["ALIVE"] * (known + 1):
                    return
            time.sleep(0.3)
        raise AssertionError(f"{host.name}: no Ray node: {(self.folder / f'{host.name}.log').read_text()[-2000:]}")

    def command(self, root: str, executor: str) -> list[str]:
        """Options of the job."""
        resources = self.folder / f"{executor}.yaml"
        resources.write_text(yaml.safe_dump({**RESOURCES, "executor": executor}))
        options = ["--config", str(self.folder / "recipe.yaml"), "--resources", str(resources)]
        return [*options, "--root", root, "--date", DAY]

    def submit(self, root: str) -> subprocess.Popen[bytes]:
        """`theta-ray submit jobs/refresh.py`, from outside the cluster."""
        command = [sys.executable, "-m", "theta_ray.console", "submit", "jobs/refresh.py", "--address", self.address]
        with open(self.steps.folder / "output", "ab") as output:
            return subprocess.Popen(
                [*command, "--working-dir", str(REPOSITORY), "--", *self.command(root, "ray")],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=self.variables,
                cwd=REPOSITORY,
            )

    def run_alone(self, root: str) -> None:
        """The same night in one process."""
        command = [sys.executable, str(REPOSITORY / "jobs" / "refresh.py"), *self.command(root, "local")]
        done = subprocess.run(command, capture_output=True, text=True, env=self.variables, check=False)
        assert done.returncode == 0, done.stderr[-3000:]

    def num_records(self, root: str, table: str) -> int:
        """Shards of a table that are finished."""
        fs, path = fsspec.core.url_to_fs(root, use_listings_cache=False)
        return len(fs.glob(f"{path}/{table}/*/dt={DAY}/records/*.json"))

    def has_embedded(self, host: Host) -> bool:
        """Whether one of a host's processes has finished a shard of embeddings."""
        words = [line.split() for line in self.steps.lines()]
        done = {int(pid) for pid, step, _ in words if step == "embeddings:record_created"}
        return not done.isdisjoint(host.process_ids())

    def fetched(self, root: str) -> Path:
        """A root as a local folder."""
        fs, path = fsspec.core.url_to_fs(root, use_listings_cache=False)
        place = self.folder / root.rpartition("/")[2]
        fs.get(path, str(place), recursive=True)
        return place


@contextmanager
def multi_host() -> Iterator[MultiHost]:
    """A head without cores, two workers of one each and an S3 server with a night's raw files, on four hosts.

    Raises:
        NoHosts: this machine cannot make them.
    """
    with hosts(4) as (head, left, right, place):
        store = S3(f"http://{place.address}:8333", "test-key", secrets.token_hex(16), "test-bucket")
        aws = {
            "AWS_ENDPOINT_URL": store.endpoint,
            "AWS_ACCESS_KEY_ID": store.key,
            "AWS_SECRET_ACCESS_KEY": store.secret,
        }
        folder = head.shared.parent
        with environment({**aws, "AWS_DEFAULT_REGION": "us-east-1"}), seaweedfs(store, place.inside()):
            steps = Steps(folder / "steps")
            variables = {**clean_environment(str(folder)), **HEALTH, "PYTHONPATH": str(REPOSITORY)}
            variables |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
            variables |= {"HF_HUB_OFFLINE": "1", "OMP_WAIT_POLICY": "PASSIVE", "THETA_RAY_STEPS": str(steps.folder)}
            made = MultiHost(folder, head, (left, right), store, variables, steps)
            _write_night(made)
            made.start_node(head, "--head", "--num-cpus=0", "--port=6379", f"--dashboard-host={head.address}")
            for worker in made.workers:
                made.start_node(worker, f"--address={head.address}:6379", "--num-cpus=1")
            yield made


def _write_night(made: MultiHost) -> None:
    """Raw files in the bucket; recipe and model where every host has its image."""
    recipe = nightly_recipe(made.folder, save_bert(made.folder / "model", hidden_size=512))
    recipe["corpus"]["inputs"][0]["path"] = f"s3://{made.store.bucket}/raw/{{date}}/*.jsonl"
    # a page tells how long its night took, so that two of them differ
    recipe["refresh"] = {"stages": ["label_topics", "analyze_network"]}
    (made.folder / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    write_night(made.folder, DAY, *FILES, count=POSTS)
    fs = fsspec.filesystem("s3", skip_instance_cache=True)
    fs.put(f"{made.folder}/raw/", f"{made.store.bucket}/raw/", recursive=True)


def cut_link(made: MultiHost) -> Outcome:
    """Submit a night, cut a worker's link while texts are embedded, and compare with the night of one process."""
    outcome, ids = Outcome(FAULT), {post["id"] for name in FILES for post in posts_of(DAY, name, POSTS)}
    alone, cut = (made.store.root(name) for name in ("alone", "cut"))
    made.run_alone(alone)
    whole = oracle.check(made.fetched(alone), DAY, ids)
    made.steps.begin()
    with PollingReader(cut, DAY, whole["manifests"]) as reader:
        job = made.submit(cut)
        _wait_for(lambda: made.has_embedded(made.workers[1]), job, made.steps)
        made.workers[1].cut()
        made.steps.mark_kill()
        done = made.num_records(cut, "embeddings")
        code = job.wait(timeout=SECONDS_TO_WAIT)
    found = oracle.check(made.fetched(cut), DAY, ids)
    outcome.runs, outcome.kills, outcome.reads, outcome.partial = 1, 1, reader.num_reads, reader.partial[:5]
    outcome.lost, outcome.duplicated = found["lost"], found["duplicated"]
    outcome.unequal = int(found["manifests"] != whole["manifests"] or not whole["manifests"])
    outcome.recomputed, outcome.problems = made.steps.most_recomputed(), found["problems"][:5] + whole["problems"][:5]
    if code:
        outcome.problems.append(f"the submitted job ended with {code}: {made.steps.last_words()}")
    if done >= made.num_records(cut, "embeddings"):
        outcome.problems.append("the link was cut when all was done")
    if made.states() != ["ALIVE", "ALIVE", "DEAD"]:
        outcome.problems.append(f"nodes are {made.states()}")
    return outcome


def lose_a_host() -> Outcome:
    """`cut_link` on hosts that are made for it and end with it."""
    with multi_host() as made:
        return cut_link(made)


def _wait_for(happened: Callable[[], bool], job: subprocess.Popen[bytes], steps: Steps) -> None:
    deadline = time.monotonic() + SECONDS_TO_WAIT
    while not happened():
        if job.poll() is not None or time.monotonic() > deadline:
            raise AssertionError(f"the job ended with {job.poll()} before the fault: {steps.last_words()}")
        time.sleep(0.05)
