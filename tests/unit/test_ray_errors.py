"""What a user reads when Ray has no room left, without Ray."""

from __future__ import annotations

from theta_ray.ray_errors import SpillFolder, explain_full

ROOMY = SpillFolder("10.0.0.2", "/fast", 9_000, 10_000)


def test_the_line_names_the_fullest_folder_of_all_nodes_by_its_share_of_free_bytes() -> None:
    # more bytes are free on the large disk than on the roomy one, but a smaller share
    large = SpillFolder("10.0.0.3", "/tmp/ray/session_1", 50_000, 2_000_000)
    assert explain_full([ROOMY, large]) == (
        "node 10.0.0.3: Ray's spill folder /tmp/ray/session_1 is too full (50,000 of 2,000,000 bytes free); "
        "make room there, then rerun"
    )


def test_a_disk_without_a_size_is_no_division_by_zero() -> None:
    assert "/none is too full (0 of 0 bytes free)" in explain_full([ROOMY, SpillFolder("10.0.0.3", "/none", 0, 0)])


def test_where_no_folder_is_known_the_line_names_none() -> None:
    assert explain_full([]) == "the folder that a node's Ray spills to is full; make room there, then rerun"
