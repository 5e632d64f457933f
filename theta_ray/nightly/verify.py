"""Stage `forget` with `forget.verify=true`: every object below the root is searched for ids and texts that must not be.

objects of the root -> tasks of a few each -> decoded and searched (verify_search.py) -> a line for each that holds some

Tombstones are left out: they are the list itself. Leases hold no document.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Any

from theta_ray.clean_up import Found, list_objects
from theta_ray.config import Config
from theta_ray.corpus.authors import pseudonym, read_key
from theta_ray.corpus.bertweet import normalizer
from theta_ray.corpus.id_lists import AUTHORS, read_ids
from theta_ray.corpus.tombstones import FOLDER
from theta_ray.errors import ConfigError, InputError, StageError
from theta_ray.nightly.forget_request import files_of
from theta_ray.nightly.verify_search import Needles, search_object
from theta_ray.objects import access, join, open_filesystem, read_bytes
from theta_ray.report.gather_network import NUM_DIGITS
from theta_ray.runcard import Phases, Plan, PlanStep, RunCard
from theta_ray.runtime import cluster
from theta_ray.tasks import Executor

logger = logging.getLogger(__name__)
STAGE = "forget"
TASK_BYTES, TASK_OBJECTS = 2**26, 256


@dataclass(frozen=True)
class SearchTask:
    """Some objects below a root."""

    root: str
    names: tuple[str, ...]


def plan(config: Config, _day: str) -> Plan:
    """How much would be searched."""
    needles, objects = _needles(config), list(_objects(config.root))
    figures = {"objects": len(objects), "bytes": sum(each.num_bytes for each in objects)}
    figures["different_words_looked_for"] = len(needles.words)
    return Plan([PlanStep(STAGE, config.root, "would search", figures)], config.sections("forget"))


def run(config: Config, day: str) -> RunCard:
    """Search everything.

    Raises:
        ConfigError: the recipe names neither ids nor texts, or there is no key for the authors' pseudonyms.
        InputError: a list is missing or is none.
        StageError: something was found.
    """
    phases = Phases()
    with phases.measure("read ids"):
        needles = _needles(config)
    with phases.measure("list"):
        objects = list(_objects(config.root))
    with cluster(config.resources), phases.measure("search"):
        executor = Executor(STAGE, config.resources, lambda: None)
        shared = executor.share(_itself, needles)
        found = executor.map(search_objects, list(_tasks(config.root, objects)), shared=shared)
    hits = sorted(hit for each in found for hit in each["hits"])
    unread = sorted(name for each in found for name in each["unread"])
    for name, part, count in hits:
        logger.error("forget: %s%s: %d", join(config.root, name), f", column {part}" if part else "", count)
    for name in unread:
        logger.error("forget: %s: could not be read", join(config.root, name))
    searched = {"objects": sum(each["num_rows"] for each in found), "bytes": sum(each["bytes"] for each in found)}
    if hits or unread:
        raise StageError(
            f"{config.root}: {len({hit[0] for hit in hits})} of {searched['objects']:,} objects hold what was to be "
            f"forgotten, {len(unread)} could not be read; run jobs/forget.py with these ids, or see docs/deletions.md"
        )
    figures = {"verified": "nothing was found", **searched}
    card = RunCard(STAGE, "verified", config.root, "", day, figures, {}, recipe=config.sections("forget"))
    card.seconds = phases.seconds
    return card


def _itself(value: Needles) -> Needles:
    return value


def _needles(config: Config) -> Needles:
    settings = config.recipe.forget
    if settings.ids is None and settings.author_ids is None and settings.texts is None:
        raise ConfigError("forget.verify: nothing to look for; add --set forget.ids=FILE, .author_ids or .texts")
    texts = []
    if settings.texts is not None:
        try:
            texts = read_bytes(settings.texts).decode().splitlines()
        except (FileNotFoundError, UnicodeDecodeError) as error:
            raise InputError(f"{settings.texts}: no such file, or not UTF-8; give one text a line") from error
    normalize = normalizer(config.recipe.corpus.normalize)
    authors = set(_names_of_authors(config))
    words = {author for author in authors if not any(map(str.isdigit, author))}
    ids = chain((each for uri in files_of(settings.ids) for each in read_ids(uri)), authors - words)
    return Needles.of(ids, [text for text in texts if text.strip()], lambda plain: list(normalize(plain)), words)


def _names_of_authors(config: Config) -> Iterator[str]:
    """Ids of authors as the platform, as tables and as pages have them."""
    lists = files_of(config.recipe.forget.author_ids)
    key = read_key(config.recipe.corpus) if lists else None
    for uri in lists:
        for author in read_ids(uri, AUTHORS):
            yield author
            if key is not None:
                yield pseudonym(key, author)
                yield pseudonym(key, author)[:NUM_DIGITS]


def _objects(root: str) -> Iterator[Found]:
    for each in list_objects(root):
        if not each.name.startswith(f"{FOLDER}/") and "/lease/" not in each.name:
            yield each


def _tasks(root: str, objects: list[Found]) -> Iterator[SearchTask]:
    names: list[str] = []
    num_bytes = 0
    for each in objects:
        names.append(each.name)
        num_bytes += each.num_bytes
        if num_bytes >= TASK_BYTES or len(names) == TASK_OBJECTS:
            yield SearchTask(root, tuple(names))
            names, num_bytes = [], 0
    if names:
        yield SearchTask(root, tuple(names))


def search_objects(task: SearchTask, needles: Needles) -> dict[str, Any]:
    """What some objects hold: name, part and count of each hit; how many objects and bytes were searched."""
    hits, unread, num_objects, num_bytes = [], [], 0, 0
    for name in task.names:
        counts: Counter[str] = Counter()
        uri = join(task.root, name)
        fs, path = open_filesystem(uri)
        try:
            with access(uri), fs.open(path, "rb") as file:
                counts = search_object(name, file, needles)
                num_bytes += file.seek(0, 2)
        except FileNotFoundError:
            continue  # another job has removed it since it was listed
        except (EOFError, OSError):
            unread.append(name)
        num_objects += 1
        hits += [(name, part, count) for part, count in counts.items()]
    return {"hits": hits, "unread": unread, "num_rows": num_objects, "bytes": num_bytes}
