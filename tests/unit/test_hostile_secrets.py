"""Secrets and raw author ids appear in nothing that a real job writes or says, whether it ends well or not."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.conftest import REPOSITORY
from tests.small_jobs import DAY, make_recipe, make_texts, save_recipe
from theta_ray.terminal import escaped, escaped_lines, masked_secrets

CANARY = "canary0f1e2d3c4b5a6978"
SECRETS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "HF_TOKEN", "THETA_RAY_AUTHOR_KEY")
AUTHORS = [f"raw-author-{number:04d}" for number in range(40)]


@pytest.fixture
def recipe(tmp_path: Path, bert: Path) -> Path:
    """A recipe with pseudonyms over texts of which some are damaged in every way that is told."""
    rows = [{"id": f"d{i}", "text": text, "user": AUTHORS[i]} for i, text in enumerate(make_texts(40))]
    rows += [rows[0], {**rows[1], "id": "none", "text": " "}, {**rows[2], "id": 1e300}, {**rows[3], "at": "never"}]
    lines = [json.dumps(row) for row in rows]
    lines += [f'{{"user": "{AUTHORS[5]}", "text": "cut off', f'["{AUTHORS[6]}"]', f'{{"user": "{AUTHORS[7]}"}}']
    (tmp_path / "raw.jsonl").write_text("\n".join(lines) + "\n")
    columns = {"doc_id": "id", "text": "text", "author_id": "user", "created_at": "at"}
    inputs = [{"reader": "jsonl", "path": str(tmp_path / "raw.jsonl"), "columns": columns}]
    corpus = {"inputs": inputs, "authors": "pseudonym", "max_damaged_share": 1}
    (tmp_path / "resources.yaml").write_text("executor: local\n")
    return save_recipe(tmp_path / "recipe.yaml", make_recipe("", bert, corpus=corpus))


def run(recipe: Path, *options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """One real job in a process of its own, with a canary in everything that is secret."""
    folder = recipe.parent
    secrets = dict.fromkeys(SECRETS, CANARY)
    variables = {**os.environ, "HOME": str(folder / "home"), "TMPDIR": str(folder / "tmp"), **secrets, **environment}
    (folder / "tmp").mkdir(exist_ok=True)
    root = [] if "--root" in options else ["--root", str(folder / "results")]
    command = [sys.executable, "jobs/embed.py", "--config", str(recipe), "--date", DAY, *root, *options]
    command += ["--resources", str(folder / "resources.yaml")]
    return subprocess.run(command, cwd=REPOSITORY, env=variables, capture_output=True, text=True, check=False)


def written(folder: Path) -> Iterator[tuple[str, str]]:
    """Every file below a folder as text; of parquet files all values as well, since they are compressed."""
    for path in folder.rglob("*"):
        if path.is_file():
            values = str(pq.read_table(path, partitioning=None).to_pydict()) if path.suffix == ".parquet" else ""
            yield path.relative_to(folder).as_posix(), path.read_bytes().decode("latin-1") + values


def test_a_job_that_ends_well_writes_no_secret_and_no_raw_author(recipe: Path) -> None:
    done = run(recipe)
    assert done.returncode == 0, done.stderr
    said = {"stdout": done.stdout, "stderr": done.stderr}
    found = {**dict(written(recipe.parent / "results")), **dict(written(recipe.parent / "home")), **said}
    assert len(found) > 6
    assert [name for name, text in found.items() if CANARY in text] == []
    assert [name for name, text in found.items() if "raw-author" in text] == []
    assert any("bad_record" in text for text in found.values())
    manifests = [
        json.loads(text) for name, text in found.items() if "/manifests/" in name and name.startswith("corpus/")
    ]
    assert manifests
    assert all(len(manifest["key_id"]) == 8 for manifest in manifests)


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (["--root", f"s3://key:{CANARY}@bucket/tables"], 2),
        (["--root", f"s3://bucket/tables?endpoint_url={CANARY}"], 2),
        (["--set", f"corpus.inputs.0.path=s3://key:{CANARY}@bucket/a.jsonl"], 2),
        (["--set", f"corpus.inputs.0.path=s3://key:{CANARY}/more@bucket/a.jsonl", "--plan"], 2),
        (["--set", f"corpus.inputs.0.path=https://host/a.jsonl?X-Amz-Signature={CANARY}"], 2),
        (["--set", f"corpus.inputs.0.path=[s3://key:{CANARY}@bucket/a.jsonl, 3]"], 2),
        (["--set", f"corpus.normalize=s3://key:{CANARY}@bucket/{'x' * 90}"], 2),
        (["--set", f"encoder.model=https://user:{CANARY}@host/model"], 2),
        (["--set", "encoder.model=nobody/nothing"], 3),
        (["--set", "encoder.model=/no/such/folder"], 3),
        (["--set", "corpus.max_damaged_share=0"], 4),
        (["--set", "corpus.on_damage.bad_record=fail"], 4),
        (["--set", "corpus.inputs.0.columns.text=no_such", "--set", "corpus.max_damaged_share=0.5"], 4),
    ],
    ids=lambda value: str(value)[-60:],
)
def test_a_job_that_fails_says_no_secret(recipe: Path, options: list[str], code: int) -> None:
    failed = run(recipe, *options)
    assert failed.returncode == code, failed.stderr
    assert CANARY not in failed.stdout + failed.stderr
    assert "Traceback" not in failed.stderr
    assert [name for name, text in written(recipe.parent / "results") if CANARY in text] == []


def test_a_key_that_is_too_short_is_not_repeated(recipe: Path) -> None:
    failed = run(recipe, THETA_RAY_AUTHOR_KEY="canary-short")
    assert failed.returncode == 2
    assert "canary" not in failed.stdout + failed.stderr


def test_secrets_of_uris_are_masked_wherever_they_stand() -> None:
    text = f"a 's3://k:{CANARY}@b/x' and https://h/x?sig={CANARY}&t={CANARY} end"
    assert masked_secrets(text) == "a 's3://...@b/x' and https://h/x?sig=...&t=... end"
    plain = "s3://bucket/a.jsonl, abfs://c@account.dfs.core.windows.net/x, mail a@b.c: 3"
    assert masked_secrets(plain) == plain


def test_what_could_steer_a_terminal_or_forge_a_line_is_escaped() -> None:
    text = "a\x1b[31m\x1b]0;t\x07\u202e\u2066\u200b\r\n12:00:00 forged\x9b\ud800"
    assert escaped(text).isprintable()
    assert escaped("plain \u00e9 \U0001f600") == "plain \u00e9 \U0001f600"
    assert escaped_lines("a\x1b\nb") == "a\\x1b\nb"
