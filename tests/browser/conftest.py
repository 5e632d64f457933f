"""One browser for all tests that open pages, and the pages."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.browser import chromium


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Headless Chromium; tests are skipped where there is none."""
    playwright = pytest.importorskip("playwright.sync_api", reason="pip install '.[test]' brings playwright")
    binary = chromium.find()
    if binary is None:
        pytest.skip("no Chromium: python -m tests.browser.chromium fetches Debian's; or name one in THETA_RAY_CHROMIUM")
    with playwright.sync_playwright() as running:
        started = running.chromium.launch(executable_path=binary, env=chromium.environment(binary))
        yield started
        started.close()


@pytest.fixture(scope="session")
def facts_page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of facts that a test decides."""
    from tests.browser import pages

    return pages.facts_page(tmp_path_factory.mktemp("facts"))


@pytest.fixture(scope="session")
def sample_page(tmp_path_factory: pytest.TempPathFactory, bert: Path) -> Path:
    """The page of a part of the sample."""
    from tests.browser import pages

    return pages.sample_page(tmp_path_factory.mktemp("sample"), bert)


@pytest.fixture(scope="session")
def forum_page(tmp_path_factory: pytest.TempPathFactory, bert: Path, shared_data: Path) -> Path:
    """The page of a real forum."""
    from tests.browser import pages

    return pages.forum_page(tmp_path_factory.mktemp("forum"), bert, shared_data)
