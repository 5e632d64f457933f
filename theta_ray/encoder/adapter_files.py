"""The files of an adapter: found on this machine, in the adapter table or in a bucket, and known by their contents."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
import tempfile
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

from theta_ray.clean_up import MARKS
from theta_ray.encoder.contract import NAME as CONTRACT
from theta_ray.encoder.model_files import check_adapter
from theta_ray.errors import InputError
from theta_ray.manifest import read_manifest
from theta_ray.objects import exists, get_file, join, list_names, read_many
from theta_ray.store import Partition, file_sha256
from theta_ray.uris import SCHEME

logger = logging.getLogger(__name__)
WEIGHTS = ("adapter_config.json", "adapter_model.safetensors")
PROJECTION = "projection"
# What of a folder decides a vector; cards, logs, tokenizers and optimizer states that others put beside it do not.
FILES = (*WEIGHTS, f"{PROJECTION}/config.json", f"{PROJECTION}/model.safetensors")
DECISIVE = (*FILES, CONTRACT)


def files_digest(folder: Path, names: tuple[str, ...] = FILES) -> str:
    """SHA-256 over names and contents of the files of these names that are there."""
    return _digest({name: file_sha256(str(folder / name)) for name in names if (folder / name).is_file()})


def _digest(files: dict[str, str]) -> str:
    lines = [f"{sha256}  {name}\n" for name, sha256 in sorted(files.items())]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def adapter_identity(folder: Path) -> str:
    """What an adapter is known by in fingerprints: its weights, and the contract that fills in what a recipe omits."""
    return f"sha256:{files_digest(folder, DECISIVE)}"


def find_adapter(reference: str) -> Path:
    """The folder on this machine that `encoder.adapter` names; an object storage URI is fetched first.

    A partition of the adapter table (`.../dt=<day>`) must be committed, and its files those of its manifest.

    Raises:
        InputError: not there, not committed, damaged, or no adapter.
    """
    known = _known_files(reference)
    num_deleted(reference)
    if SCHEME.match(reference):
        return _fetched(reference, known)
    folder = Path(reference).expanduser()
    _check_files(folder, known or {}, reference)
    check_adapter(folder, reference)
    return folder


@lru_cache
def num_deleted(reference: str) -> int:
    """How many documents that an adapter was trained on are deleted by now (nightly/forget.py); warns of them once."""
    folder = join(reference, MARKS.rstrip("/"))
    names = list_names(folder) if reference.rstrip("/").rpartition("/")[2].startswith("dt=") else []
    count = sum(int(json.loads(data)["num_documents"]) for data in read_many([join(folder, name) for name in names]))
    if count:
        logger.warning(
            "encoder.adapter %s: was trained on %d documents deleted since; train a new one", reference, count
        )
    return count


def _known_files(reference: str) -> dict[str, str] | None:
    """SHA-256 of the files that decide a vector, from the manifest of the partition; None for any other folder."""
    name = reference.rstrip("/").rpartition("/")[2]
    if not name.startswith("dt="):
        return None
    root, table, fingerprint = reference.rstrip("/").rsplit("/", 3)[:3]
    manifest = read_manifest(Partition(root, table, fingerprint, name.removeprefix("dt=")))
    if manifest is None:
        raise InputError(f"encoder.adapter {reference}: is not committed; run jobs/finetune.py to its end first")
    if "files" not in manifest:
        raise InputError(f"encoder.adapter {reference}: is of another table; name a partition of the adapter table")
    return {name: manifest["files"][name]["sha256"] for name in DECISIVE if name in manifest["files"]}


def _check_files(folder: Path, known: dict[str, str], reference: str) -> None:
    for name, sha256 in known.items():
        found = file_sha256(str(folder / name)) if (folder / name).is_file() else "gone"
        if found != sha256:
            raise InputError(f"encoder.adapter {reference}: {name} is {found}, its manifest says {sha256}; restore it")


def _fetched(uri: str, known: dict[str, str] | None) -> Path:
    """A copy of an adapter in this machine's cache, under the digest of its files."""
    from huggingface_hub import cached_assets_path

    cache = cached_assets_path("theta_ray", namespace="adapters", subfolder="by_digest")
    kept = cache / _digest(known) if known is not None else None
    if kept is not None and adapter_identity(kept) == f"sha256:{kept.name}":
        return kept
    with tempfile.TemporaryDirectory(dir=cache) as temporary:
        folder = Path(temporary, "adapter")
        (folder / PROJECTION).mkdir(parents=True)
        for name in DECISIVE:
            source = join(uri, name)
            if name in known if known is not None else exists(source):
                get_file(source, str(folder / name))
        _check_files(folder, known or {}, uri)
        check_adapter(folder, uri)
        kept = cache / adapter_identity(folder).removeprefix("sha256:")
        _put(folder, kept)
    return kept


def _put(folder: Path, kept: Path) -> None:
    """Give a folder its place in the cache, where another process may have put the same, or damage may lie."""
    for _ in range(2):
        if adapter_identity(kept) == adapter_identity(folder):
            return
        shutil.rmtree(kept, ignore_errors=True)
        with suppress(OSError):
            os.rename(folder, kept)
            return
    raise InputError(f"{kept}: cannot be replaced; remove it")
