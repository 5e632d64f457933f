"""A disk that runs full: for tables, temporary files or what Ray spills. `python -m tests.chaos.full_disk`: one trial.

It runs in a mount namespace of its own, where a small tmpfs takes the place of the folder. The namespace goes
with the process, and so do the mounts, whatever happens.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

from tests.chaos.cluster_kills import RAY
from tests.chaos.hoard import hoard_objects
from tests.chaos.jobs import LOCAL, REPOSITORY, Outcome, Setting, Trial, require_done, trial
from tests.chaos.nodes import three_nodes
from theta_ray.errors import InputError

ENOUGH, SPILL_BYTES = 256 * 2**20, 2 * 2**20
BLOCK = 4096
# How much of what is needed is there: the smaller ones run out while the corpus is prepared.
CASES = (("tables", 0.2), ("tables", 0.67), ("temporary", 0.05), ("temporary", 0.5))


def namespace() -> list[str] | None:
    """The command that runs another in a mount namespace of its own; None where the system allows none."""
    for command in (["unshare", "--mount"], ["unshare", "--user", "--map-root-user", "--mount"]):
        with tempfile.TemporaryDirectory() as folder:
            probe = [*command, "mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", folder]
            try:
                if subprocess.run(probe, capture_output=True, check=False).returncode == 0:
                    return command
            except FileNotFoundError:
                return None
    return None


def fill_disk(setting: Setting, what: str, share: float) -> Outcome:
    """Run the job with a disk for tables or temporary files that has a share of what is needed; then with enough."""
    command = namespace()
    assert command is not None, "ask namespace() first"
    values = {**vars(setting), "ids": sorted(setting.ids)}
    (setting.folder / "setting.json").write_text(json.dumps(values, default=str))
    trial_command = [*command, sys.executable, "-m", "tests.chaos.full_disk", str(setting.folder), what, str(share)]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    done = subprocess.run(trial_command, capture_output=True, text=True, check=False, cwd=REPOSITORY, env=environment)
    if done.returncode:
        raise AssertionError(f"the trial of a full disk ended with {done.returncode}: {done.stderr[-3000:]}")
    return Outcome(**json.loads(done.stdout.splitlines()[-1]))


def _try(setting: Setting, what: str, share: float) -> Outcome:
    outcome = Outcome(f"disk full: {what}")
    with trial(setting, outcome) as made:
        temporary = made.folder / "temporary"
        temporary.mkdir()
        small = {"tables": Path(made.root), "temporary": temporary}[what]
        _mount(small, int(share * _needed(setting, what)))
        environment = {"TMPDIR": str(temporary)}
        require_done(made.start(LOCAL, environment), made.steps, InputError.exit_code)
        outcome.kills += 1
        made.steps.mark_kill()
        outcome.problems += _complaints(made, small)
        _mount(small, ENOUGH, "remount")
        require_done(made.start(LOCAL, environment), made.steps)
    return outcome


def _try_spilling(setting: Setting) -> Outcome:
    """Another program has filled the memory for objects of all nodes, and the folder that they spill to is full too."""
    outcome = Outcome("disk full: spill")
    spill = Path(tempfile.mkdtemp(dir=setting.folder))
    _mount(spill, SPILL_BYTES)
    with three_nodes(spill) as nodes, trial(setting, outcome, nodes.steps) as made:
        with hoard_objects(nodes):
            require_done(made.start(RAY, nodes.environment), made.steps, InputError.exit_code)
        outcome.kills += 1
        made.steps.mark_kill()
        words = made.steps.last_words()
        full = rf"{re.escape(str(spill))} is too full \([\d,]+ of {SPILL_BYTES:,} bytes free\)"
        if not re.search(rf"\nnode \S+: Ray's spill folder {full}; make room there, then rerun\nexit code 3", words):
            outcome.problems.append(f"does not say which spill folder is full, and how full: {words}")
        outcome.problems += [f"{path}: committed" for path in made.paths("embeddings/*/*/manifests/*")]
        _mount(spill, ENOUGH, "remount")
        require_done(made.start(RAY, nodes.environment), made.steps)
    return outcome


def _needed(setting: Setting, what: str) -> int:
    """Bytes on disk of all tables, or of the largest shard."""
    sizes = {path: path.stat().st_size for path in (setting.folder / "undisturbed").rglob("*") if path.is_file()}
    if what == "tables":
        return sum(-(-size // BLOCK) * BLOCK for size in sizes.values())
    return max(size for path, size in sizes.items() if path.suffix == ".parquet")


def _mount(folder: Path, num_bytes: int, *options: str) -> None:
    settings = ",".join([f"size={num_bytes}", "mode=0755", *options])
    subprocess.run(["mount", "-t", "tmpfs", "-o", settings, "tmpfs", str(folder)], check=True)


def _complaints(made: Trial, small: Path) -> list[str]:
    """What is wrong about how the job left: its words, or what it has committed."""
    words = [line for line in made.steps.last_words().splitlines() if str(small) in line and "No space left" in line]
    found = [] if len(words) == 1 else [f"{len(words)} lines say that {small} is full: {made.steps.last_words()}"]
    found += [f"names no bytes: {line}" for line in words if not re.search(r"[\d,]+ bytes", line)]
    found += ["a traceback"] * ("Traceback" in made.steps.last_words())
    return found + [f"{path}: committed" for path in made.paths("embeddings/*/*/manifests/*")]


def _read_setting(path: Path) -> Setting:
    values = json.loads(path.read_text())
    folder, recipe = Path(values.pop("folder")), Path(values.pop("recipe"))
    ids, steps = frozenset(values.pop("ids")), tuple(values.pop("steps"))
    return Setting(folder, recipe, ids, steps=steps, **values)


if __name__ == "__main__":
    known = _read_setting(Path(sys.argv[1], "setting.json"))
    done = _try_spilling(known) if sys.argv[2] == "spill" else _try(known, sys.argv[2], float(sys.argv[3]))
    sys.stdout.write(json.dumps(asdict(done)) + "\n")
