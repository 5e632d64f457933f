"""Versions of a partition: each manifest names exactly the shards of one version, and is created last.

    <partition>/manifests/00000001.json   version, parent (version and SHA-256), schema, shards, counts, inputs
                          00000002.json   the same day from changed inputs; the highest version is the table

A manifest's bytes depend on the recipe and the inputs alone: no times, hosts or lease epochs. Two
runs of the same plan thus commit the same bytes, and whoever comes second finds its own work done.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pyarrow as pa

from theta_ray.errors import ConflictError, InputError
from theta_ray.objects import list_names, read_bytes
from theta_ray.steps import reached
from theta_ray.store import Partition, Record, canonical_json, check_present, create_same

CARRIED_FROM = "carried_from"
"""In the manifest of a table that was not made of its day's embeddings: the identity of the one that it comes from."""


def manifest_path(partition: Partition, version: int) -> str:
    """Where a version's manifest lies."""
    return partition.at("manifests", f"{version:08d}.json")


def list_versions(partition: Partition) -> list[int]:
    """All committed versions, ascending."""
    names = list_names(partition.at("manifests"))
    return sorted(int(name.removesuffix(".json")) for name in names if name.endswith(".json"))


def read_manifest(partition: Partition, version: int | None = None) -> dict[str, Any] | None:
    """The manifest of a version, or of the newest one; None where nothing is committed.

    Raises:
        InputError: there is no such version, or the manifest cannot be read as one.
    """
    known = list_versions(partition)
    if version is None and not known:
        return None
    wanted = version if version is not None else known[-1]
    if wanted not in known:
        there = f"versions {', '.join(map(str, known))}" if known else "nothing"
        raise InputError(f"{partition.path}: no version {wanted}; {there} is committed")
    return _parse(read_bytes(manifest_path(partition, wanted)), manifest_path(partition, wanted))


def carried_over(partition: Partition) -> dict[str, Any] | None:
    """The newest version that was carried over from the vectors of another model (jobs/migrate.py); None: none was."""
    for version in reversed(list_versions(partition)):
        manifest = read_manifest(partition, version)
        if manifest is not None and CARRIED_FROM in manifest:
            return manifest
    return None


def _parse(data: bytes, uri: str) -> dict[str, Any]:
    try:
        manifest = json.loads(data)
    except ValueError as error:
        raise InputError(f"{uri}: is damaged ({error}); restore it, or open an older version") from error
    if not isinstance(manifest, dict) or "shards" not in manifest:
        raise InputError(f"{uri}: is no manifest; restore it, or open an older version")
    return manifest


def manifest_digest(manifest: dict[str, Any]) -> str:
    """SHA-256 of a manifest's canonical bytes, which are the bytes of its object."""
    return hashlib.sha256(canonical_json(manifest)).hexdigest()


def commit(partition: Partition, schema: pa.Schema, records: list[Record], body: dict[str, Any]) -> dict[str, Any]:
    """Create the next version over `records`; when the newest version says the same, that one stays.

    Raises:
        ConflictError: another run has committed a version with other content at the same time.
        StageError: a shard is not what its record says.
    """
    content = {
        "table": partition.table,
        "fingerprint": partition.fingerprint,
        "date": partition.date,
        "schema": [[f.name, str(f.type)] for f in schema],
        "num_rows": sum(record.num_rows for record in records),
        "shards": [record.facts() for record in sorted(records, key=lambda record: record.shard)],
        **body,
    }
    newest = read_manifest(partition)
    if newest is not None and canonical_json(_content(newest)) == canonical_json(content):
        return newest
    check_present(partition, records)
    version, parent = 1, None
    if newest is not None:
        version, parent = newest["version"] + 1, {"version": newest["version"], "sha256": manifest_digest(newest)}
    manifest = {"version": version, "parent": parent, **content}
    reached("all_done", partition.table, str(version))
    uri = manifest_path(partition, version)
    there = create_same(uri, canonical_json(manifest))
    if there is not None:
        mine, other = manifest_digest(manifest), hashlib.sha256(there).hexdigest()
        raise ConflictError(f"{uri}: another run committed {other} where this run has {mine}; rerun to build on it")
    reached("manifest_created", partition.table, str(version))
    return manifest


def _content(manifest: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in manifest.items() if name not in ("version", "parent")}


def identity_of(manifest: dict[str, Any]) -> dict[str, Any]:
    """What names one version of one table as the input of another: no path, so that a copy is the same input."""
    return {
        "table": manifest["table"],
        "fingerprint": manifest["fingerprint"],
        "version": manifest["version"],
        "sha256": manifest_digest(manifest),
    }
