"""The project's own pages: every setting has a meaning, and every link and picture leads somewhere."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

from tests import settings_page
from tests.conftest import REPOSITORY
from theta_ray.config import Recipe, Resources

PAGES = sorted(
    [
        *REPOSITORY.glob("*.md"),
        *(p for top in ("docs", "cluster_configs", "k8s") for p in (REPOSITORY / top).rglob("*.md")),
    ]
)
FENCED = re.compile(r"^( *)```.*?^\1```", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\]\(([^)\s]+)\)")


def _anchors(page: Path) -> set[str]:
    """The anchors that GitHub gives the headings of a page."""
    seen: Counter[str] = Counter()
    found = set()
    for heading in re.findall(r"^#+ (.*)$", FENCED.sub("", page.read_text(encoding="utf-8")), re.MULTILINE):
        words = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading)
        slug = re.sub(r"[^\w\- ]", "", words.lower()).replace(" ", "-")
        found.add(f"{slug}-{seen[slug]}" if seen[slug] else slug)
        seen[slug] += 1
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(REPOSITORY).as_posix())
def test_every_link_and_picture_of_a_page_leads_somewhere(page: Path) -> None:
    for target in LINK.findall(FENCED.sub("", page.read_text(encoding="utf-8"))):
        if not target.startswith(("http://", "https://")):
            name, _, anchor = target.partition("#")
            there = (page.parent / name).resolve() if name else page
            assert there.exists(), target
            assert not anchor or anchor in _anchors(there), target


def test_every_setting_of_recipes_and_resources_has_a_meaning() -> None:
    found = [*settings_page.models(Recipe, ""), ("resources", Resources)]
    assert len(found) > 30
    for path, model in found:
        said = settings_page.meanings(model)
        assert [name for name in model.model_fields if not said.get(name)] == [], path
