"""Corpus properties: any cut of a file gives its lines, any cut of keys their repeats, any text is stored."""

import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from theta_ray.corpus import files
from theta_ray.corpus.document import Damaged, Unit, printable
from theta_ray.corpus.duplicates import bucket_range, concat, find_repeats, to_keys
from theta_ray.corpus.files import Line, parse_json, read_lines
from theta_ray.corpus.links import MAX_LINK_CHARS, MAX_LINKS, find_links, to_column
from theta_ray.corpus.text import HASHTAGS, NORMALIZERS, text_hash
from theta_ray.corpus.values import to_ids, to_links, to_score, to_time

LINES = st.lists(st.binary(max_size=12).map(lambda data: data.replace(b"\n", b"")), max_size=12)
DIGESTS = st.lists(st.sampled_from([bytes([i]) * 16 for i in (0, 1, 127, 128, 254, 255)]), max_size=30)


@settings(max_examples=200)
@given(lines=LINES, ends=st.booleans(), cuts=st.lists(st.integers(0, 150), max_size=5), chunk=st.integers(1, 40))
def test_any_cut_into_byte_ranges_yields_each_line_once(lines, ends, cuts, chunk):
    data = b"\n".join(lines) + (b"\n" if ends else b"")
    before, files.CHUNK_BYTES = files.CHUNK_BYTES, chunk
    try:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "lines.txt"
            path.write_bytes(data)
            whole = list(read_lines(Unit(str(path), 0, len(data))))
            if not data.startswith((b"\xff\xfe", b"\xfe\xff", b"\xef\xbb\xbf")):
                expected = data.split(b"\n")
                assert [line.data for line in whole] == (expected[:-1] if expected[-1] == b"" else expected)
            bounds = sorted({0, *(cut for cut in cuts if cut < len(data)), len(data)})
            pieces = zip(bounds, bounds[1:], strict=False)
            units = [Unit(str(path), 0, stop - start, start, stop) for start, stop in pieces]
            assert [line for unit in units for line in read_lines(unit)] == whole
    finally:
        files.CHUNK_BYTES = before


@given(shards=st.lists(DIGESTS, max_size=4), buckets=st.integers(1, 5))
def test_repeats_found_by_bucket_are_those_found_at_once(shards, buckets):
    keys = concat([to_keys(b"".join(digests), shard) for shard, digests in enumerate(shards)])
    seen, expected = set(), []
    for shard, digests in enumerate(shards):
        for row, digest in enumerate(digests):
            expected += [(shard, row)] if digest in seen else []
            seen.add(digest)
    found = set()
    for bucket in range(buckets):
        start, stop = bucket_range(bucket, buckets)
        repeats = find_repeats(keys.take((keys.high >= start) & (keys.high < (stop or 2**64 - 1) + (stop is None))))
        found |= set(zip(repeats.shard.tolist(), repeats.row.tolist(), strict=True))
    assert sorted(found) == expected


@given(text=st.text(st.characters(), max_size=300))
def test_any_text_is_normalised_to_something_that_can_be_stored(text):
    for normalize in NORMALIZERS.values():
        stored = normalize(text)
        stored.encode()
        assert len(text_hash(stored)) == 16
    for find_tags in HASHTAGS.values():
        assert all(tag and not tag.startswith("#") for tag in find_tags(text))


@given(text=st.text(max_size=100))
def test_basic_normalisation_is_done_once(text):
    once = NORMALIZERS["basic"](text.replace("&", ""))
    assert NORMALIZERS["basic"](once) == once


@given(words=st.lists(st.text("abc", min_size=1, max_size=5), min_size=1), gaps=st.sampled_from([" ", "\n", "  \t"]))
def test_text_hash_does_not_change_with_white_space(words, gaps):
    assert text_hash(gaps.join(words)) == text_hash(" ".join(words).upper())


@given(value=st.one_of(st.text(max_size=40), st.floats(), st.integers(), st.dates(), st.datetimes(), st.none()))
def test_times_and_scores_are_read_or_damaged_and_nothing_else(value):
    for read in (to_time, to_score):
        try:
            result = read(value)
        except Damaged:
            continue
        assert result is None or -(2**63) <= result < 2**63


ADDRESSES = st.lists(
    st.sampled_from(["https://", "HTTP://", "a.org", "u:p@", "/", "//", "?", "utm_x=1", "&", "#f", "\0", ")"])
)


@given(written=st.one_of(ADDRESSES.map("".join), st.text(st.characters(), max_size=60)), times=st.integers(1, 150))
def test_links_are_bounded_storable_and_normalised_once(written, times):
    found = [*find_links(f"{written} ({written})."), *(f"{written}{i}" for i in range(times))]
    links = to_column(found)
    assert to_column(links) == links
    assert len(links) <= MAX_LINKS
    for link in links:
        assert link.encode().isascii() or link.isprintable()
        assert len(link) <= MAX_LINK_CHARS
        assert link.startswith(("http://", "https://"))
        assert not set(link) & set(" #\0\n")


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(st.characters(), max_size=9)),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
)


@given(value=JSON)
def test_lists_of_ids_and_links_are_read_or_damaged_and_nothing_else(value):
    for read in (to_ids, to_links):
        try:
            found = read(value)
        except Damaged:
            continue
        assert all(isinstance(item, str) and item for item in found)


@given(data=st.binary(max_size=200))
def test_any_bytes_are_json_or_rejected(data):
    row = parse_json(Line(7, data))
    assert 7 in row


@given(text=st.text(st.characters(), max_size=400))
def test_what_is_shown_is_one_printable_line(text):
    shown = printable(text)
    assert len(shown) <= 200
    assert shown.isprintable()
