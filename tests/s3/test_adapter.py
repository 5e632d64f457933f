"""Adapters in a bucket: committed there once, fetched to a cache under the digest of their files, checked."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from transformers import AutoModel

from tests.adapters import embed, partition, save_by_peft, train
from tests.conftest import S3
from theta_ray.encoder.adapter_files import find_adapter
from theta_ray.errors import InputError
from theta_ray.objects import list_names, open_filesystem, remove
from theta_ray.training.adapter import commit_adapter

pytestmark = pytest.mark.s3


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of the test's own."""
    monkeypatch.setattr("huggingface_hub.utils._cache_assets.HF_ASSETS_CACHE", str(tmp_path / "assets"))
    return tmp_path / "assets"


def test_an_adapter_in_a_bucket_is_the_one_on_disk(s3: S3, bert: Path, tmp_path: Path) -> None:
    local, remote = partition(tmp_path), partition(s3.root("adapter"))
    manifests = [commit_adapter(place, train(bert, projection=8), merged=True) for place in (local, remote, remote)]
    assert manifests[0] == manifests[1] == manifests[2]
    assert np.array_equal(embed(bert, local.path), embed(bert, remote.path))
    assert list_names(remote.at("manifests")) == ["00000001.json"]


def test_a_fetched_adapter_is_fetched_once_and_again_where_the_copy_is_damaged(
    s3: S3, bert: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = partition(s3.root("adapter"))
    commit_adapter(place, train(bert))
    folder = find_adapter(place.path)
    fetched: list[str] = []

    def get_file(uri: str, local_path: str) -> None:
        fetched.append(uri)
        fs, path = open_filesystem(uri)
        fs.get_file(path, local_path)

    monkeypatch.setattr("theta_ray.encoder.adapter_files.get_file", get_file)
    assert (find_adapter(place.path), fetched) == (folder, [])
    (folder / "adapter_config.json").write_text("{}")
    assert find_adapter(place.path) == folder
    assert len(fetched) == 3  # no projection, no merged folder
    assert "query" in (folder / "adapter_config.json").read_text()


def test_an_adapter_of_others_in_a_bucket_is_taken_as_it_is(s3: S3, bert: Path, tmp_path: Path) -> None:
    folder = save_by_peft(AutoModel.from_pretrained(bert), tmp_path / "adapter", ["query"])
    uri = f"{s3.root('theirs')}/adapter"
    upload(folder, uri)
    assert np.array_equal(embed(bert, uri, pooling="mean"), embed(bert, folder, pooling="mean"))


def test_what_is_no_adapter_or_not_committed_is_refused(s3: S3, bert: Path, cache: Path) -> None:
    with pytest.raises(InputError, match="s3://.*/nothing: needs adapter_config.json"):
        find_adapter(f"{s3.root('none')}/nothing")
    place = partition(s3.root("adapter"))
    commit_adapter(place, train(bert))
    remove(place.at("manifests", "00000001.json"))
    with pytest.raises(InputError, match="is not committed; run jobs/finetune.py"):
        find_adapter(place.path)
    assert not [path for path in cache.rglob("*") if path.is_file()]


def test_a_damaged_object_is_not_taken(s3: S3, bert: Path) -> None:
    place = partition(s3.root("adapter"))
    commit_adapter(place, train(bert))
    fs, path = open_filesystem(place.at("adapter_config.json"))
    fs.pipe_file(path, b"{}")
    with pytest.raises(InputError, match="adapter_config.json is [0-9a-f]{64}, its manifest says .*; restore it"):
        find_adapter(place.path)


def upload(folder: Path, uri: str) -> None:
    fs, path = open_filesystem(uri)
    for file in folder.iterdir():
        fs.put_file(str(file), f"{path}/{file.name}")
