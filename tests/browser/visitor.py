"""A person at the page: a real Chromium, what it asked for, and what went wrong in it."""

import json
import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import BrowserContext, Page, Route

from tests.service_process import ROOT

LOG = logging.getLogger(__name__)
AXE = ROOT / ".cache" / "axe" / "axe.min.js"
PATIENCE = 60_000
"""Milliseconds for a picture to come back on a busy machine."""


@dataclass
class Visitor:
    """One tab. `url` is the service's, `asked` are all addresses that it asked, `wrong` what its console says."""

    page: Page
    url: str
    asked: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    @classmethod
    def come(cls, context: BrowserContext, url: str) -> "Visitor":
        page = context.new_page()
        page.set_default_timeout(PATIENCE)
        visitor = cls(page, url)
        page.on("request", lambda request: visitor.asked.append(request.url))
        page.on("requestfailed", lambda request: LOG.warning("%s: %s", request.url, request.failure))
        page.on("pageerror", lambda error: visitor.wrong.append(str(error)))
        page.on("console", lambda message: visitor.hear(message.type, message.text))
        return visitor

    def hear(self, kind: str, text: str) -> None:
        # Chromium reports each answer of 400 or more as an error too: those are looked at where they are expected.
        if kind == "error" and not text.startswith("Failed to load resource"):
            self.wrong.append(text)

    def go(self, key: str | None = None, view: str = "") -> None:
        """Opens a view of the page, giving `key` when it asks for one."""
        self.page.goto(f"{self.url}/#/{view}")
        if key is not None:
            self.page.get_by_label("API key", exact=True).fill(key)
            self.page.get_by_role("button", name="Use this key").click()
        self.page.locator("main h1").wait_for()

    def lose(self, part: str, times: int = 1) -> None:
        """Of what the page asks for by the name of `part`, the first `times` are lost on the way.

        The rest goes on by the same rule: Playwright that takes a rule back while a page is loaded anew may leave a
        request of it where it is, for ever.
        """
        left = [times]

        def answer(route: Route) -> None:
            left[0] -= 1
            if left[0] >= 0:
                route.abort()
            else:
                route.continue_()

        self.page.route(f"**/page/script/{part}", answer)

    def choose(self, *files: Path) -> None:
        """Gives pictures to the view, as its button does."""
        self.page.set_input_files(".drop input:not([webkitdirectory])", [str(each) for each in files])

    def result(self) -> None:
        """Waits until the picture that is looked at is there, anonymized."""
        self.page.locator(".compare").wait_for()

    def hosts(self) -> set[str]:
        """Where requests went, other than to addresses that the browser itself holds."""
        return {urlsplit(each).netloc for each in self.asked if urlsplit(each).scheme in ("http", "https", "ws", "wss")}

    def kept(self) -> dict[str, Any]:
        """What the browser would keep of this origin: local storage, databases, caches, cookies, workers."""
        found: dict[str, Any] = self.page.evaluate(
            """async () => ({
                local: {...localStorage}, session: Object.keys(sessionStorage),
                databases: (await indexedDB.databases()).length, caches: (await caches.keys()).length,
                workers: (await navigator.serviceWorker.getRegistrations()).length, cookies: document.cookie,
            })"""
        )
        return found

    def barriers(self) -> list[str]:
        """What axe finds serious or critical, with the elements."""
        # As an expression: the page's policy lets no script element in.
        self.page.evaluate(AXE.read_text(encoding="utf-8") + "\n;0")
        found = self.page.evaluate("() => axe.run(document, {resultTypes: ['violations']})")
        return [
            f"{each['id']} ({each['impact']}): " + json.dumps([node["html"][:160] for node in each["nodes"]])
            for each in found["violations"]
            if each["impact"] in ("serious", "critical")
        ]
