"""Files of cluster_configs/: Ray itself takes them, and what Ray does not look at is right as well."""

from __future__ import annotations

import json
import os
import re
import signal
import stat
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from benchmarks import sizing
from tests.conftest import REPOSITORY
from theta_ray.recipe_files import load_config

FOLDER = REPOSITORY / "cluster_configs"
LAUNCHED = ["aws-gpu-spot.yaml", "aws-small.yaml", "gcp-gpu.yaml", "onprem.yaml"]
RESOURCES = ["gpu.yaml", "laptop.yaml", "large.yaml", "medium.yaml", "small.yaml"]
GPUS_OF = {"g5.2xlarge": 1, "g2-standard-8": 1, "m7i.large": 0, "m7i.xlarge": 0, "m7i.4xlarge": 0, "n2-standard-4": 0}
CORES_OF = {"g5.2xlarge": 8, "g2-standard-8": 8, "m7i.4xlarge": 16}

each_launched = pytest.mark.parametrize("name", LAUNCHED)


def load(name: str) -> dict[str, Any]:
    return dict(yaml.safe_load((FOLDER / name).read_text()))


def test_every_file_is_known_and_told_of() -> None:
    text = (FOLDER / "README.md").read_text()
    files = {path.name for path in FOLDER.iterdir() if path.is_file()} - {"README.md"}
    assert files == {
        *LAUNCHED,
        *RESOURCES,
        "local_3_nodes.py",
        "runtime_env_dev.yaml",
        "runtime_env_prod.yaml",
        "slurm.sh",
    }
    assert all(name in text for name in files if not name.startswith("runtime_env"))


@each_launched
def test_ray_takes_the_file(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import ray
    from ray.autoscaler._private.util import fillout_defaults, validate_config

    schema = json.loads((Path(ray.__file__).parent / "autoscaler" / "ray-schema.json").read_text())
    jsonschema.validate(load(name), schema)  # first: filling in defaults drops keys that it does not know
    validate_config(fillout_defaults(load(name)))


@each_launched
def test_the_image_is_pinned_and_no_key_is_in_the_file(name: str) -> None:
    config = load(name)
    assert re.fullmatch(r"[\w.-]+/theta-ray(-gpu)?@sha256:[0-9a-f]{64}", config["docker"]["image"])
    assert config["docker"]["container_name"]
    assert set(config["auth"]) == {"ssh_user"}
    text = (FOLDER / name).read_text()
    assert not re.search(r"AKIA[0-9A-Z]{16}|PRIVATE KEY|pip install|setup_commands", text)


@each_launched
def test_the_dashboard_is_for_the_head_itself_and_asks_for_a_token(name: str) -> None:
    config = load(name)
    for command in [*config["head_start_ray_commands"], *config["worker_start_ray_commands"]]:
        assert "RAY_AUTH_MODE=token RAY_AUTH_TOKEN_PATH=" in command
        assert "OMP_WAIT_POLICY=PASSIVE GOMP_SPINCOUNT=0" in command
        assert "0.0.0.0" not in command
        assert "stop" not in command
    assert "--dashboard-host=127.0.0.1" in config["head_start_ray_commands"][0]
    assert "--num-cpus=0" in config["head_start_ray_commands"][0]


@pytest.mark.parametrize("name", [name for name in LAUNCHED if name != "onprem.yaml"])
def test_nodes_are_what_they_say_and_spot_nodes_are_workers(name: str) -> None:
    config = load(name)
    types = config["available_node_types"]
    head = types.pop(config["head_node_type"])
    assert head["resources"] == {"CPU": 0}
    assert "spot" not in json.dumps(head).lower()
    assert 0 < config["idle_timeout_minutes"] <= 30
    for kind, settings in types.items():
        node = settings["node_config"]
        machine = node.get("InstanceType") or node["machineType"]
        assert 0 <= settings["min_workers"] <= settings["max_workers"] <= config["max_workers"]
        assert settings["resources"].get("GPU", 0) == GPUS_OF[machine]
        assert settings["resources"]["CPU"] == CORES_OF[machine]
        assert ("spot" in json.dumps(node).lower()) == kind.endswith("-spot")
    if config["provider"]["type"] == "aws":
        for settings in (head, *types.values()):
            assert settings["node_config"]["MetadataOptions"]["HttpTokens"] == "required"
            assert settings["node_config"]["BlockDeviceMappings"][0]["Ebs"]["Encrypted"] is True


@pytest.mark.parametrize("name", RESOURCES)
def test_resources_are_taken_by_the_jobs(name: str) -> None:
    config = load_config(
        str(REPOSITORY / "recipes" / "sample.yaml"), resources_path=str(FOLDER / name), root="/tables", overrides=()
    )
    assert config.resources.executor == "ray"
    assert (config.resources.gpus_per_actor > 0) == (name != "laptop.yaml")


@pytest.mark.parametrize("name", ["runtime_env_dev.yaml", "runtime_env_prod.yaml"])
def test_runtime_environments_hold_variables_only(name: str) -> None:
    from ray.runtime_env import RuntimeEnv

    values = load(name)
    assert set(values) == {"env_vars"}
    assert all(isinstance(value, str) for value in values["env_vars"].values())
    assert not any(re.search(r"KEY|TOKEN|SECRET", key) for key in values["env_vars"])
    RuntimeEnv(**values)


def test_the_table_of_sizes_is_what_the_command_makes() -> None:
    text = (FOLDER / "README.md").read_text()
    assert f"{sizing.BEGIN}\n{sizing.table(sizing.PRICES)}\n{sizing.END}" in text


def test_sizes_follow_from_weights_and_peaks() -> None:
    small, *_, large = sizing.models()
    # two operations a weight and token, and a little for attention
    assert large.flops(200) == pytest.approx(2 * 3.6e9 * 200, rel=0.05)
    ratio = sizing.rate_of("NVIDIA H100 80GB HBM3", large) / sizing.rate_of("NVIDIA L4", large)
    assert ratio == pytest.approx(989.5 / 121)
    assert sizing.rate_of("8 CPU cores", small) == 8 * sizing.CORE_FLOPS


STANDINS = {
    "scontrol": "echo node-a; echo node-b",
    "srun": 'echo "srun $*" >> "$OUT"; echo "token ${#RAY_AUTH_TOKEN} $RAY_AUTH_MODE $RAY_ADDRESS" >> "$OUT"; '
    'trap \'echo got TERM >> "$OUT"; exit 7\' TERM; echo ready >> "$OUT"; sleep "${SLEEP:-0}" & wait $!',
}


def slurm(tmp_path: Path, *arguments: str, **variables: str) -> subprocess.Popen[str]:
    """slurm.sh with stand-ins for Slurm's commands, in a copy of the working folder."""
    commands, work = tmp_path / "commands", tmp_path / "work"
    for folder in (commands, work / ".venv" / "bin"):
        folder.mkdir(parents=True)
    for name, body in STANDINS.items():
        _write(commands / name, body)
    _write(work / ".venv" / "bin" / "theta-ray", 'echo "theta-ray $*" >> "$OUT"')
    environment = {
        "PATH": f"{commands}:{os.environ['PATH']}",
        "OUT": str(tmp_path / "out"),
        "SLURM_SUBMIT_DIR": str(work),
        "SLURM_JOB_NODELIST": "node-[a-b]",
        "SLURM_JOB_NUM_NODES": "2",
        "SLURM_JOB_ID": "4711",
        "SLURM_CPUS_PER_TASK": "16",
        **variables,
    }
    return subprocess.Popen(["bash", str(FOLDER / "slurm.sh"), *arguments], env=environment, text=True)


def _write(path: Path, body: str) -> None:
    path.write_text(f"#!/usr/bin/env bash\n{body}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


def test_on_slurm_one_job_runs_on_all_nodes_under_a_token_of_its_own(tmp_path: Path) -> None:
    assert slurm(tmp_path, "jobs/embed.py", "--config", "r.yaml", "--root", "/t").wait(30) == 0
    doctor, srun, token, _ = (tmp_path / "out").read_text().splitlines()
    assert doctor == "theta-ray doctor --config r.yaml --root /t"
    assert "symmetric-run --address node-a:24711 --min-nodes 2 --num-cpus 16" in srun
    assert srun.endswith("-- .venv/bin/python jobs/embed.py --config r.yaml --root /t")
    assert token == "token 64 token node-a:24711"


def test_on_slurm_a_notice_reaches_the_job_and_its_code_comes_back(tmp_path: Path) -> None:
    job = slurm(tmp_path, "jobs/embed.py", "--root", "/t", SLEEP="20")
    until = time.monotonic() + 20
    while time.monotonic() < until and "ready" not in (
        (tmp_path / "out").read_text() if (tmp_path / "out").exists() else ""
    ):
        time.sleep(0.05)
    job.send_signal(signal.SIGTERM)
    assert job.wait(20) == 7
    assert "got TERM" in (tmp_path / "out").read_text()


@pytest.mark.ray
def test_three_nodes_on_one_machine_start_and_lose_one() -> None:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("RAY_")}
    command = [sys.executable, str(FOLDER / "local_3_nodes.py")]
    # names of sockets have a limit
    with tempfile.TemporaryDirectory(prefix="tr-", dir="/tmp", ignore_cleanup_errors=True) as folder:
        environment |= {"RAY_TMPDIR": folder, "PYTHONUNBUFFERED": "1"}
        done = subprocess.run(command, input="1\n", capture_output=True, text=True, env=environment, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "RAY_AUTH_MODE=token RAY_AUTH_TOKEN=" in done.stdout
    assert "worker 1 is gone" in done.stdout
