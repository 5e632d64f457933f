"""Web addresses in texts: where they begin and end, and what they have in common when written differently."""

from __future__ import annotations

import pytest

from theta_ray.corpus.links import MAX_LINK_CHARS, MAX_LINKS, find_links, normalized, to_column


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("see https://a.org/x.", ["https://a.org/x"]),
        ("(https://a.org/x_(y)), next", ["https://a.org/x_(y)"]),
        ("[text](https://a.org/x) and **http://b.org**", ["https://a.org/x", "http://b.org"]),
        ("[https://a.org](https://b.org)", ["https://a.org", "https://b.org"]),
        ('<a href="https://a.org/?a=1&amp;b=2">here</a>', ["https://a.org/?a=1&b=2"]),
        ("看https://t.co/abc，很好", ["https://t.co/abc"]),
        ("https://de.example.org/straße/kö?", ["https://de.example.org/straße/kö"]),
        ("HTTPS://A.org!", ["HTTPS://A.org"]),
        ("cut https://t.co/ab\u2026", []),
        ("xhttps://a.org ftp://b.org mailto:c@d.org www.e.org", []),
        (f"https://a.org/{'x' * MAX_LINK_CHARS} https://b.org", ["https://b.org"]),
        ("no address: // http:/ https://", []),
    ],
)
def test_addresses_are_found_without_the_punctuation_around_them(text: str, found: list[str]) -> None:
    assert list(find_links(text)) == found


@pytest.mark.parametrize(
    ("address", "link"),
    [
        ("HTTPS://Example.ORG/A/B/", "https://example.org/A/B"),
        ("https://example.org/", "https://example.org"),
        ("https://example.org?utm_source=x", "https://example.org"),
        ("https://example.org/a/?id=1&UTM_Medium=x&fbclid=9&b#top", "https://example.org/a?id=1&b"),
        ("https://example.org/a?utmost=1&fbclids=2", "https://example.org/a?utmost=1&fbclids=2"),
        ("https://example.org/a?next=/b/", "https://example.org/a?next=/b/"),
        ("https://user:secret@example.org:8080/a", "https://example.org:8080/a"),
        (" https://example.org/a ", "https://example.org/a"),
        ("https://example.org/a b", None),
        ("https://example.org/\x1b[31m", None),
        ("https://example.org/\ud800", None),
        ("javascript:alert(1)", None),
        ("/r/python/comments", None),
        ("https://localhost/a", None),
        ("https://.../a", None),
        ("https://example.org/" + "x" * MAX_LINK_CHARS, None),
    ],
)
def test_an_address_is_written_in_one_way(address: str, link: str | None) -> None:
    assert normalized(address) == link


def test_a_document_has_each_address_once_and_at_most_a_hundred() -> None:
    assert to_column(["https://a.org/", "http://a.org", "no", "https://A.org#x"]) == ["https://a.org", "http://a.org"]
    assert to_column(f"https://a.org/{i}" for i in range(5000)) == [f"https://a.org/{i}" for i in range(MAX_LINKS)]
