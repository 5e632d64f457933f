"""References: whatever is deleted, nothing that is left names it, and what had nothing to do with it is the same."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from theta_ray.corpus.document import Document, Rejected
from theta_ray.corpus.references import WORD, accounts_in, without_references

KEY = b"k" * 32
DOCUMENTS = [f"document{number}" for number in range(6)]
AUTHORS = [f"author{number}" for number in range(6)]
POSTS, PEOPLE = st.sampled_from(DOCUMENTS), st.sampled_from(AUTHORS)
LINKS = st.builds("https://example.org/{}/status/{}".format, PEOPLE, POSTS)
ITEMS = st.one_of(
    st.builds(
        Document,
        doc_id=POSTS,
        text=st.one_of(st.just("no address"), LINKS.map("see {} there".format)),
        place=st.integers(0, 9),
        kind=st.sampled_from(["post", "comment", "repost"]),
        author=st.none() | PEOPLE,
        context_id=st.none() | POSTS,
        parent_id=st.none() | POSTS,
        parent_author=st.none() | PEOPLE,
        mention_ids=st.lists(PEOPLE, max_size=3).map(tuple),
        links=st.none() | st.lists(LINKS, max_size=2).map(tuple),
    ),
    st.builds(Rejected, st.just("too_short"), POSTS.map("doc_id {}".format), st.integers(0, 9)),
)


def named(item: Document | Rejected) -> set[str]:
    """Whatever a row says of documents and authors; addresses in its text become links where a dump has none."""
    if isinstance(item, Rejected):
        return set(WORD.findall(item.detail))
    values = [item.doc_id, item.author, item.context_id, item.parent_id, item.parent_author, *item.mention_ids]
    links = item.links if item.links is not None else (item.text,)
    return {value for value in values if value} | {word for link in links for word in WORD.findall(link)}


@given(item=ITEMS, deleted=st.sets(POSTS), authors=st.sets(PEOPLE), has_key=st.booleans())
def test_nothing_that_is_left_names_what_is_gone(
    item: Document | Rejected, deleted: set[str], authors: set[str], has_key: bool
) -> None:
    found = without_references(item, deleted, authors, KEY if has_key else None)
    gone = deleted | authors
    assert not named(found) & gone
    if not named(item) & gone:
        assert found is item
    is_own = isinstance(item, Document) and (item.doc_id in deleted or item.author in authors)
    if is_own:
        assert found == Rejected("deleted_id", "", item.place)
    if isinstance(item, Document) and isinstance(found, Document):
        kept = [author for author in item.mention_ids if author not in authors]
        assert list(found.mention_ids) == kept
        assert (found.doc_id, found.text, found.author, found.kind) == (item.doc_id, item.text, item.author, item.kind)
        if item.parent_author not in authors and item.parent_id not in deleted:
            assert (found.parent_id, found.parent_author) == (item.parent_id, item.parent_author)


@given(item=ITEMS, authors=st.sets(PEOPLE, min_size=1))
def test_an_answer_to_a_forgotten_author_names_neither_the_post_nor_its_thread(
    item: Document, authors: set[str]
) -> None:
    """Also where nobody knew the post: it came after the author was forgotten."""
    if isinstance(item, Rejected) or item.parent_author not in authors or item.author in authors:
        return
    found = without_references(item, set(), authors, KEY)
    if item.kind == "repost":
        assert found == Rejected("deleted_id", "", item.place)
    else:
        assert isinstance(found, Document)
        assert (found.parent_id, found.parent_author) == (None, None)
        assert found.context_id is None or found.context_id != item.parent_id


@pytest.mark.parametrize(
    ("address", "accounts"),
    [
        ("https://x.com/someone/status/1445880548472328193", ["someone", "1445880548472328193"]),
        ("https://mastodon.example/@someone", ["someone"]),
        ("https://www.reddit.com/user/someone/comments/abc", ["user", "someone"]),
        ("https://x.com/i/user/4499494500", ["i", "4499494500", "4499494500"]),
        ("https://docs.python.org", []),
        ("https://example.org/news/why-python-is-12345", ["news"]),
    ],
)
def test_an_address_names_accounts_where_platforms_write_them(address: str, accounts: list[str]) -> None:
    """A name is often a word, and others' addresses hold words."""
    assert accounts_in(address) == accounts
