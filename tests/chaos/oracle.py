"""Counts again what a run left on a local disk, and shares no line with the project: python oracle.py ROOT DAY [IDS]

IDS is a file with one expected document id a line. The answer is one line of JSON; exit code 1 where anything is wrong.
"""

import hashlib
import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq


def check(root: Path, day: str, expected: set[str] | None = None) -> dict[str, Any]:
    """Manifest hashes by partition, ids lost and duplicated, and every number that does not add up."""
    found: dict[str, Any] = {"manifests": {}, "rows": {}, "lost": 0, "duplicated": 0, "problems": []}
    counts: dict[str, Counter[str]] = {}
    for folder in sorted(root.glob(f"*/*/dt={day}")):
        versions = sorted(folder.glob("manifests/*.json"))
        name, parent = f"{folder.parts[-3]}/{folder.parts[-2]}", None
        for number, path in enumerate(versions, start=1):
            data, manifest = path.read_bytes(), json.loads(path.read_bytes())
            canonical = json.dumps(manifest, sort_keys=True, ensure_ascii=False, indent=1).encode() + b"\n"
            if data != canonical or (manifest["version"], manifest["parent"]) != (number, parent):
                found["problems"].append(f"{path}: not canonical, or not version {number} after {parent}")
            parent = {"version": number, "sha256": hashlib.sha256(data).hexdigest()}
        if parent is None:
            continue
        found["manifests"][name] = parent["sha256"]
        ids, reasons = read_shards(folder, manifest, found["problems"])
        found["rows"][name], counts[name] = manifest["num_rows"], reasons
        if "doc_id" in dict(manifest["schema"]):
            found["duplicated"] += ids.total() - len(ids)
            found["lost"] += len((expected or set()) - set(ids))
            found["problems"] += [f"{folder}: unknown id {doc_id}" for doc_id in set(ids) - (expected or set(ids))]
            if "num_quarantined" in manifest["counts"]:  # others take their rows from a table that has been counted
                check_sums(folder, manifest, found["problems"])
    for name, reasons in counts.items():
        rejected = counts.get(name.replace(name.split("/")[0], "quarantine", 1), Counter())
        if not name.startswith("quarantine/") and reasons != rejected:
            found["problems"].append(f"{name}: records say {dict(reasons)} quarantined, quarantine {dict(rejected)}")
    return found


def read_shards(folder: Path, manifest: dict[str, Any], problems: list[str]) -> tuple[Counter[str], Counter[str]]:
    """Document ids of a partition, and its rows by quarantine reason: what its records say, or its own rows."""
    ids: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    for shard in manifest["shards"]:
        path = folder / f"{shard['shard']}.parquet"
        table, data = pq.read_table(path, partitioning=None), path.read_bytes()
        actual = (table.num_rows, len(data), hashlib.sha256(data).hexdigest())
        if actual != (shard["num_rows"], shard["num_bytes"], shard["sha256"]):
            problems.append(f"{path}: is {actual}, its manifest says otherwise")
        if json.loads((folder / "records" / f"{shard['shard']}.json").read_bytes())["sha256"] != shard["sha256"]:
            problems.append(f"{path}: its record and its manifest disagree")
        if "doc_id" in table.column_names:
            ids.update(table["doc_id"].to_pylist())
            reasons.update(shard["quarantined"])
        elif "reason" in table.column_names:
            reasons.update(table["reason"].to_pylist())
    return ids, reasons


def check_sums(folder: Path, manifest: dict[str, Any], problems: list[str]) -> None:
    """Rows in = rows out + quarantined + skipped, in each shard and in all."""
    total = manifest["counts"]
    sums = [(total["num_rows_in"], total["num_rows"], total["num_quarantined"] + total.get("num_skipped", 0))]
    for shard in manifest["shards"]:
        out = sum(shard["quarantined"].values()) + sum(shard["details"].get("skipped", {}).values())
        sums.append((shard["details"]["num_rows_in"], shard["num_rows"], out))
    problems += [f"{folder}: {a} rows in, {b} out, {c} quarantined" for a, b, c in sums if a != b + c]
    if [sum(column) for column in zip(*sums[1:], strict=True)] != list(sums[0]):
        problems.append(f"{folder}: the shards do not add up to {sums[0]}")


if __name__ == "__main__":
    wanted = set(Path(sys.argv[3]).read_text(encoding="utf-8").split()) if len(sys.argv) > 3 else None
    answer = check(Path(sys.argv[1]), sys.argv[2], wanted)
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.exit(bool(answer["lost"] or answer["duplicated"] or answer["problems"]))
