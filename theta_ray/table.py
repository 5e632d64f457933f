"""Committed tables for readers: exactly the files of one version, as a pyarrow dataset or as a list of URIs."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from theta_ray.errors import InputError
from theta_ray.manifest import read_manifest
from theta_ray.objects import list_names, open_filesystem, replace
from theta_ray.schemas import check_schema, type_named
from theta_ray.store import Partition

if TYPE_CHECKING:
    import pyarrow.dataset as ds

PLACE = re.compile(r"(?P<root>.*)/(?P<table>[a-z_]+)/(?P<fingerprint>[0-9a-f]{12})(/dt=(?P<date>\d{4}-\d\d-\d\d))?/*")


def open_table(path: str, version: int | None = None, *, schema: pa.Schema | None = None) -> ds.Dataset:
    """A pyarrow dataset of exactly the committed files of one day, or of all days of a table.

    Files that a running or killed job has left beside them are not in it. Each file of a version
    stays as it is until that version is cleaned up, so a dataset that is open does not change.

    Args:
        path: `<root>/<table>/<fingerprint>/dt=<day>`, or without the day; a folder or a URI.
        version: one of the versions of that day; absent: the newest.
        schema: columns that the table must have; absent: those that its manifest names.

    Raises:
        InputError: the path is none of a table, nothing is committed there, or not that version.
        SchemaError: the files have other columns.
    """
    import pyarrow.dataset as ds

    chosen = _committed(path, version)
    expected = schema or pa.schema([(name, type_named(text)) for name, text in chosen[0][1]["schema"]])
    fs, _ = open_filesystem(path)
    files = [open_filesystem(uri)[1] for uri in _uris(chosen)]
    if not files:
        return ds.dataset(expected.empty_table())
    dataset = ds.dataset(files, filesystem=fs, format="parquet")
    check_schema(dataset.schema, expected, path)
    return dataset


def list_files(path: str, version: int | None = None) -> list[str]:
    """URIs of exactly the committed files, in order; arguments and errors as those of `open_table`.

    DuckDB (`read_parquet(?)`), polars (`scan_parquet`) and Spark (`spark.read.parquet(*files)`) take such a list.
    """
    return _uris(_committed(path, version))


def write_file_list(path: str, target: str, version: int | None = None) -> int:
    """Write `list_files` to an object, one URI a line, for programs that are not Python; how many there are."""
    files = list_files(path, version)
    replace(target, "".join(f"{file}\n" for file in files).encode())
    return len(files)


def _committed(path: str, version: int | None) -> list[tuple[Partition, dict[str, Any]]]:
    """The partitions below a path with their manifests; days that are not committed are left out."""
    found = PLACE.fullmatch(path)
    if found is None:
        raise InputError(f"{path}: is no table; give <root>/<table>/<fingerprint>, or one of its dt=<day> folders")
    place = {name: found[name] for name in ("root", "table", "fingerprint")}
    if found["date"]:
        days = [found["date"]]
    elif version is None:
        days = [name.removeprefix("dt=") for name in list_names(path) if name.startswith("dt=")]
    else:
        raise InputError(f"{path}: version {version} of which day? Versions belong to one; add /dt=<day>")
    partitions = [Partition(**place, date=day) for day in days]
    manifests = [(partition, read_manifest(partition, version)) for partition in partitions]
    committed = [(partition, manifest) for partition, manifest in manifests if manifest is not None]
    if not committed:
        raise InputError(f"{path}: not committed; run its job for {found['date'] or 'a day'} first")
    return committed


def _uris(committed: list[tuple[Partition, dict[str, Any]]]) -> list[str]:
    return [p.at(f"{shard['shard']}.parquet") for p, manifest in committed for shard in manifest["shards"]]
