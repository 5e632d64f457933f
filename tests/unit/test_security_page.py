"""docs/security.md names tests that are there."""

from __future__ import annotations

import re

from tests.conftest import REPOSITORY

TEXT = (REPOSITORY / "docs" / "security.md").read_text()


def test_every_control_names_a_test_that_is_there() -> None:
    sources = "\n".join(path.read_text() for path in (REPOSITORY / "tests").rglob("*.py"))
    known = set(re.findall(r"def (test_\w+)\(", sources))
    rows = [line for line in TEXT.splitlines() if line.startswith("| ") and not line.startswith(("| ---", "| threat"))]
    assert len(rows) >= 20
    for row in rows:
        threat, _, owner, shown = (cell.strip() for cell in row.strip("|").split("|"))
        named = set(re.findall(r"`(test_\w+)`", shown))
        assert named - known == set(), threat
        assert named or "tests/" in shown, threat
        assert re.search("project|operator", owner), threat
