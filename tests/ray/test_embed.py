"""The embed stage on the session's Ray cluster, on local disk and on S3."""

from __future__ import annotations

import contextlib
import threading
import time
from pathlib import Path

import psutil
import pytest

from tests.conftest import S3
from tests.models import save_bert
from tests.small_jobs import DAY, find_partition, make_config, make_texts, read_table, write_jsonl
from theta_ray.config import Columns
from theta_ray.encoder import embed
from theta_ray.encoder.job import make_job
from theta_ray.errors import InputError, StageError
from theta_ray.manifest import read_manifest
from theta_ray.objects import open_filesystem, read_bytes

pytestmark = [pytest.mark.ray, pytest.mark.usefixtures("ray_cluster")]
RAY = {"executor": "ray"}


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_bert(tmp_path_factory.mktemp("bert"))


def test_the_cluster_commits_the_bytes_of_one_process(tmp_path: Path, bert: Path) -> None:
    raw = write_jsonl(tmp_path / "a.jsonl", make_texts(300))
    manifests = []
    for name, resources in (("ray", RAY), ("local", {"executor": "local", "threads_per_actor": 1})):
        config = make_config(raw, str(tmp_path / name), bert, resources=resources, corpus={"shard_bytes": 4000})
        card = embed.run(config, DAY)
        manifest = read_manifest(find_partition(config.root, "embeddings"))
        assert manifest is not None
        manifests.append(manifest)
        assert card.figures["embedded"] == 300
    assert manifests[0]["shared"]["folder"]  # the shards have texts in common
    assert manifests[0] == manifests[1]


def test_a_night_takes_the_same_over_on_the_cluster_as_in_one_process(tmp_path: Path, bert: Path) -> None:
    texts = make_texts(260)
    write_jsonl(tmp_path / DAY / "a.jsonl", texts[:160])
    write_jsonl(tmp_path / "2026-02-01" / "a.jsonl", texts[40:])
    manifests = []
    for name, resources in (("ray", RAY), ("local", {"executor": "local", "threads_per_actor": 1})):
        path = tmp_path / "{date}" / "a.jsonl"
        config = make_config(path, str(tmp_path / name), bert, resources=resources, corpus={"shard_bytes": 4000})
        cards = [embed.run(config, day) for day in (DAY, "2026-02-01")]
        manifests.append([read_manifest(make_job(config, day).embeddings) for day in (DAY, "2026-02-01")])
        assert cards[1].figures["texts_taken_over"] > 100
        assert cards[1].figures["shards_of_known_texts"] > 0
        assert cards[1].figures["shards_made_by_this_run"] > 0
    assert None not in manifests[0]
    assert manifests[0] == manifests[1]


@pytest.mark.s3
def test_a_corpus_on_s3_is_embedded_into_s3(s3: S3, tmp_path: Path, bert: Path) -> None:
    root = s3.root("embed")
    raw = write_jsonl(tmp_path / "a.jsonl", make_texts(60))
    fs, path = open_filesystem(f"{root}-raw/a.jsonl")
    fs.put_file(str(raw), path)
    config = make_config(Path("unused"), root, bert, resources=RAY, corpus={"shard_bytes": 2000})
    inputs = config.recipe.corpus.inputs[0].model_copy(update={"path": f"{root}-raw/*.jsonl"})
    corpus = config.recipe.corpus.model_copy(update={"inputs": (inputs,)})
    config = config.model_copy(update={"recipe": config.recipe.model_copy(update={"corpus": corpus})})
    embed.run(config, DAY)
    table = read_table(root, "embeddings")
    assert sorted(table.column("doc_id").to_pylist()) == sorted(f"d{i}" for i in range(60))
    secrets = (s3.secret.encode(), s3.key.encode())
    written = fs.find(open_filesystem(root)[1])
    assert not [name for name in written for secret in secrets if secret in read_bytes(f"s3://{name}")]


def test_an_error_of_a_worker_arrives_as_itself(tmp_path: Path, bert: Path) -> None:
    raw = write_jsonl(tmp_path / "a.jsonl", make_texts(40))
    changes = {"encoder": {"precision": "bfloat16"}, "embed": {"min_cosine": 1.0}}
    config = make_config(raw, str(tmp_path / "root"), bert, resources=RAY, **changes)
    with pytest.raises(StageError, match="use encoder.precision: float32") as stopped:
        embed.run(config, DAY)
    assert len(str(stopped.value).splitlines()) == 1


def test_an_error_of_a_reading_task_arrives_in_one_line(tmp_path: Path, bert: Path) -> None:
    raw = write_jsonl(tmp_path / "a.jsonl", make_texts(10))
    table = tmp_path / "a.csv"
    table.write_text("id,text\n1,road\n")
    config = make_config(raw, str(tmp_path / "root"), bert, resources=RAY)
    columns = Columns(doc_id="id", text="text", score="likes")
    inputs = (
        config.recipe.corpus.inputs[0].model_copy(update={"reader": "csv", "path": str(table), "columns": columns}),
    )
    corpus = config.recipe.corpus.model_copy(update={"inputs": inputs})
    with pytest.raises(InputError, match="no column likes") as stopped:
        embed.run(config.model_copy(update={"recipe": config.recipe.model_copy(update={"corpus": corpus})}), DAY)
    assert len(str(stopped.value).splitlines()) == 1


def test_a_gpu_that_the_cluster_lacks_is_an_error_before_any_work(tmp_path: Path, bert: Path) -> None:
    import ray

    if ray.cluster_resources().get("GPU"):
        pytest.skip("this cluster has a GPU")
    raw = write_jsonl(tmp_path / "a.jsonl", make_texts(10))
    config = make_config(raw, str(tmp_path / "root"), bert, resources={**RAY, "gpus_per_actor": 1})
    with pytest.raises(InputError, match="change the resources file"):
        embed.run(config, DAY)
    assert not list((tmp_path / "root").rglob("*.parquet"))


def kill_one_actor(root: Path, killed: list[int]) -> None:
    """Once a shard is finished, kill -9 one process that embeds."""
    deadline = time.monotonic() + 120
    while not killed and time.monotonic() < deadline:
        if list(root.glob("embeddings/*/*/records/*.json")):
            for process in psutil.Process().children(recursive=True):
                with contextlib.suppress(psutil.NoSuchProcess):
                    if not killed and "EmbedActor" in " ".join(process.cmdline()):
                        process.kill()
                        killed.append(process.pid)
        time.sleep(0.02)


@pytest.mark.chaos
def test_a_killed_actor_loses_no_row(tmp_path: Path) -> None:
    slow = save_bert(tmp_path / "slow", hidden_size=256)
    raw = write_jsonl(tmp_path / "a.jsonl", make_texts(2000))
    config = make_config(raw, str(tmp_path / "root"), slow, resources=RAY, corpus={"shard_bytes": 4000})
    killed: list[int] = []
    killer = threading.Thread(target=kill_one_actor, args=(tmp_path / "root", killed))
    killer.start()
    embed.run(config, DAY)
    killer.join()
    ids = read_table(config.root, "embeddings").column("doc_id").to_pylist()
    assert killed
    assert ids == [f"d{i}" for i in range(2000)]
