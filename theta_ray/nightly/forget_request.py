"""What a deletion is asked for: ids of documents and of authors in, the tombstones that keep them out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from theta_ray.config import Config
from theta_ray.corpus import authors, gone_authors, tombstones
from theta_ray.corpus.gone_authors import GoneAuthors
from theta_ray.corpus.id_lists import AUTHORS, read_ids
from theta_ray.corpus.tombstones import DIGESTS, FOLDER, Tombstones
from theta_ray.errors import InputError
from theta_ray.objects import join
from theta_ray.store import create_same, digest_of


@dataclass(frozen=True)
class Request:
    """The ids of the recipe's lists; all that were deleted ever where it names none."""

    documents: Tombstones
    authors: GoneAuthors = field(repr=False)
    """By the ids and by the pseudonyms."""
    forms: tuple[tuple[bytes, ...], ...] = field(repr=False)
    """Of each author the digests by which tables may know it, the one that is stored last."""
    is_new: bool
    """Whether the recipe names lists."""

    @property
    def name(self) -> str:
        """What the request is known by."""
        documents, people = self.documents.digests.tobytes().hex(), self._stored.digests.tobytes().hex()
        return digest_of([documents, people] if people else documents)

    @property
    def _stored(self) -> Tombstones:
        return Tombstones.of_digests(each[-1] for each in self.forms)

    def keep(self, root: str) -> None:
        """Create the tombstones."""
        if self.is_new and len(self.documents):
            data = self.documents.digests.tobytes()
            create_same(join(root, FOLDER, f"forget-{self.name}{DIGESTS}"), data)
        if self.is_new:
            gone_authors.keep(root, self.name, self._stored, self.authors.key)

    def num_authors_among(self, digests: frozenset[bytes]) -> int:
        """How many of the authors are known by any of some digests."""
        return sum(not digests.isdisjoint(each) for each in self.forms)


def read_request(config: Config) -> Request:
    """The request of a recipe.

    Raises:
        InputError: a list is missing or is none, or there is none at all.
    """
    settings, key = config.recipe.forget, authors.read_key(config.recipe.corpus)
    if settings.ids is None and settings.author_ids is None:
        known, people = tombstones.read(config.root), gone_authors.read(config.root, key)
        if not len(known) and not people:
            raise InputError(f"{join(config.root, FOLDER)}: holds no ids; name a list with --set forget.ids=FILE")
        return Request(known, people, tuple((digest,) for digest in people.digests.all_digests()), is_new=False)
    documents = Tombstones()
    for uri in files_of(settings.ids):
        documents = documents.with_those(tombstones.read_list(uri))
    named = sorted({author for uri in files_of(settings.author_ids) for author in read_ids(uri, AUTHORS)})
    forms = tuple(gone_authors.digests_of(author, key) for author in named)
    both = Tombstones.of_digests(_flat(forms))
    return Request(documents, GoneAuthors(both, key), forms, is_new=True)


def files_of(setting: str | tuple[str, ...] | None) -> tuple[str, ...]:
    """One file or several, or none."""
    return (setting,) if isinstance(setting, str) else setting or ()


def _flat(forms: Iterable[tuple[bytes, ...]]) -> Iterable[bytes]:
    return (digest for each in forms for digest in each)
