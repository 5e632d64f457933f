import numpy as np

from theta_ray.corpus.duplicates import BUCKET_KEYS, bucket_range, concat, find_repeats, num_buckets, to_keys, without


def keys_of(letters: str, shard: int):
    return to_keys(b"".join(letter.encode() * 16 for letter in letters), shard)


def places(keys):
    return list(zip(keys.shard.tolist(), keys.row.tolist(), strict=True))


def test_the_earliest_row_keeps_its_key():
    found = find_repeats(concat([keys_of("ba", 1), keys_of("aba", 0)]))
    assert places(found) == [(0, 2), (1, 0), (1, 1)]


def test_no_keys_have_no_repeats():
    assert len(find_repeats(concat([]))) == 0


def test_keys_that_share_a_half_are_different():
    keys = to_keys(b"a" * 8 + b"b" * 8 + b"a" * 8 + b"c" * 8 + b"b" * 8 + b"b" * 8, 0)
    assert len(find_repeats(keys)) == 0


def test_rows_that_were_dropped_do_not_hide_others():
    keys = concat([keys_of("a", 0), keys_of("aa", 1)])
    survivors = without(keys, keys.take(np.array([0])))
    assert places(find_repeats(survivors)) == [(1, 1)]


def test_buckets_cover_all_keys_once():
    for buckets in (1, 3, 7):
        ranges = [bucket_range(bucket, buckets) for bucket in range(buckets)]
        assert ranges[0][0] == 0
        assert ranges[-1][1] is None
        assert [stop for _, stop in ranges[:-1]] == [start for start, _ in ranges[1:]]
    assert [num_buckets(n) for n in (0, 1, BUCKET_KEYS, BUCKET_KEYS + 1)] == [1, 1, 1, 2]
