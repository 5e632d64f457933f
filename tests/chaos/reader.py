"""A reader that polls the tables all the time and notes everything that is not whole. No line of the project in it."""

from __future__ import annotations

import hashlib
import json
import threading
from types import TracebackType
from typing import Any

import fsspec

SECONDS_BETWEEN = 0.1


class PollingReader:
    """Reads the highest manifest of each partition and the files that it names, as a user's reader would.

    Every manifest that it ever sees must be one of `whole` (SHA-256 by `<table>/<fingerprint>`), and every
    file must have the listed size and SHA-256 at the moment in which the manifest is there.
    """

    def __init__(self, root: str, day: str, whole: dict[str, str]) -> None:
        self.partial: list[str] = []
        self.num_reads = 0
        self._fs, self._path = fsspec.core.url_to_fs(root, use_listings_cache=False)
        self._day, self._whole = day, whole
        self._known: dict[str, list[tuple[str, int]]] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._poll, name="polling reader", daemon=True)

    def __enter__(self) -> PollingReader:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()

    def _poll(self) -> None:
        while not self._stop.wait(SECONDS_BETWEEN):
            try:
                for manifest in self._highest():
                    self._read(manifest)
                self.num_reads += 1
            except Exception as error:  # noqa: BLE001  a reader that met anything else has not read a whole table
                self.partial.append(f"{type(error).__name__}: {error}")

    def _highest(self) -> list[str]:
        newest: dict[str, str] = {}
        for path in sorted(self._fs.glob(f"{self._path}/*/*/dt={self._day}/manifests/*.json")):
            newest[path.rpartition("/")[0]] = path
        return list(newest.values())

    def _read(self, path: str) -> None:
        if path in self._known:
            files = self._known[path]
            self.partial += [f"{path}: {file} is gone or cut" for file, size in files if self._fs.size(file) != size]
            return
        data = self._fs.cat_file(path)
        folder = path.rpartition("/manifests/")[0]
        name = "/".join(folder.split("/")[-3:-1])
        if self._whole.get(name, "") != hashlib.sha256(data).hexdigest():
            self.partial.append(f"{path}: is not the manifest of an undisturbed run")
        self._known[path] = [
            self._check(f"{folder}/{shard['shard']}.parquet", shard) for shard in json.loads(data)["shards"]
        ]

    def _check(self, file: str, shard: dict[str, Any]) -> tuple[str, int]:
        data = self._fs.cat_file(file)
        if (len(data), hashlib.sha256(data).hexdigest()) != (shard["num_bytes"], shard["sha256"]):
            self.partial.append(f"{file}: is not what the manifest says")
        return file, len(data)
