"""Pictures of a page for the documentation: phone and desktop, light and dark.

python -m tests.browser.screenshots PAGE.html docs    # report_desktop_light.png and seven more, each below 300 kB
"""

from __future__ import annotations

import argparse
from pathlib import Path

from playwright.sync_api import sync_playwright

from tests.browser import chromium
from tests.browser.opened import DESKTOP, PHONE, opened

MAX_BYTES = 300_000
# What a picture shows from its top on.
PLACES = {"": "header", "_map": "#map"}


def take(page: Path, folder: Path) -> list[Path]:
    """The pictures of a page, in a folder.

    Raises:
        ValueError: one is 300 kB or more.
    """
    binary = chromium.find()
    if binary is None:
        raise ValueError("no Chromium: run python -m tests.browser.chromium first")
    found = []
    with sync_playwright() as running:
        browser = running.chromium.launch(executable_path=binary, env=chromium.environment(binary))
        for device, size in (("desktop", DESKTOP), ("phone", PHONE)):
            for looks in ("light", "dark"):
                with opened(browser, page, size, color_scheme=looks) as shown:
                    for name, place in PLACES.items():
                        path = folder / f"report{name}_{device}_{looks}.png"
                        shown.run("place => document.querySelector(place).scrollIntoView()", place)
                        shown.page.screenshot(path=path)
                        found.append(path)
        browser.close()
    for path in found:
        if path.stat().st_size >= MAX_BYTES:
            raise ValueError(
                f"{path}: {path.stat().st_size:,} bytes; a picture of the documentation has fewer than 300,000"
            )
    return found


def main() -> None:
    """Take them, and say where they are."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("page", type=Path)
    parser.add_argument("folder", type=Path)
    options = parser.parse_args()
    for path in take(options.page.resolve(), options.folder):
        print(f"{path}  {path.stat().st_size:,} bytes")  # noqa: T201


if __name__ == "__main__":
    main()
