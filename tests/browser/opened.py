"""A page in a browser, with everything that it said and asked for while it was open."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, ConsoleMessage, Dialog, Page

# axe 4.12.1, which comes with the package axe-playwright-python
AXE_SHA256 = "84494fec757e4710dc751c8d7a636e457f4532f08f85c86dc9070133fbff53bc"
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]
PHONE, DESKTOP = (360, 740), (1440, 900)


@dataclass
class Opened:
    """A page, and what it did."""

    page: Page
    said: list[str] = field(default_factory=list)
    """Console errors and warnings, uncaught errors, violations of the policy."""
    asked: list[str] = field(default_factory=list)
    """Addresses of all requests but the one for the page itself."""
    dialogs: list[str] = field(default_factory=list)

    def run(self, script: str, *arguments: Any) -> Any:
        """The value of a function in the page."""
        return self.page.evaluate(script, *arguments)

    def violations(self) -> list[str]:
        """What axe finds against WCAG 2.1 A and AA, with the first place of each."""
        self.run(axe())
        found = self.run(
            "rules => axe.run(document, {runOnly: rules, resultTypes: ['violations']}).then(r => JSON.stringify("
            "r.violations.map(v => [v.id, v.nodes.length, v.nodes[0].html.slice(0, 200), v.nodes[0].failureSummary])))",
            RULES,
        )
        return [": ".join(map(str, each)) for each in json.loads(found)]


@contextmanager
def opened(
    browser: Browser, path: Path, size: tuple[int, int] = DESKTOP, *, scripts: bool = True, **looks: Any
) -> Iterator[Opened]:
    """A page of a file, at a size in CSS pixels; closed at the end.

    Args:
        browser: of the session.
        path: of the page.
        size: width and height.
        scripts: whether the browser runs any.
        looks: such as `color_scheme`.
    """
    width, height = size
    looks = {"reduced_motion": "reduce", **looks}  # what is scrolled to is there at once
    context = browser.new_context(viewport={"width": width, "height": height}, java_script_enabled=scripts, **looks)
    page = context.new_page()
    found = Opened(page)

    def console(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            found.said.append(message.text)

    def dialog(asked: Dialog) -> None:
        found.dialogs.append(asked.message)
        asked.dismiss()

    page.on("console", console)
    page.on("pageerror", lambda error: found.said.append(str(error)))
    page.on("dialog", dialog)
    page.on("request", lambda request: found.asked.append(request.url))
    if scripts:
        page.add_init_script(
            "addEventListener('securitypolicyviolation', e => console.error('policy: ' + e.violatedDirective))"
        )
    page.goto(path.as_uri())
    found.asked.remove(path.as_uri())
    try:
        yield found
    finally:
        context.close()


def axe() -> str:
    """The source of axe."""
    return (files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8")
