"""What the page must not do: keep anything, ask anybody else, shut anybody out; and who else may call the API."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import BrowserContext, Page

from tests.browser.visitor import Visitor
from tests.service_process import ServiceProcess

pytestmark = pytest.mark.slow
Picture = Callable[[str], Path]

CALL = """async ([url, key, wrong]) => {
    try {
        const answer = await fetch(url, {headers: {Authorization: `Bearer ${wrong ? 'wrong' : key}`}});
        return {
            status: answer.status, body: await answer.json(),
            seen: ['X-Request-Id', 'Content-Type', 'RateLimit'].map((name) => answer.headers.get(name)),
        };
    } catch (error) {
        return {failed: error.name};
    }
}"""
UPLOAD = """async ([url, key]) => {
    const canvas = new OffscreenCanvas(64, 64);
    canvas.getContext('2d').fillRect(0, 0, 64, 64);
    const body = await canvas.convertToBlob({type: 'image/png'});
    try {
        const answer = await fetch(url, {method: 'POST', body, headers: {'Api-Key': key}});
        const type = (await answer.blob()).type;
        return {status: answer.status, type, receipt: answer.headers.get('Veil-Receipt')};
    } catch (error) {
        return {failed: error.name};
    }
}"""


@pytest.mark.usefixtures("axe")
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nobody_is_shut_out(
    context: BrowserContext, visitor: Visitor, keys: dict[str, str], picture: Picture, scheme: Any
) -> None:
    page = visitor.page
    page.emulate_media(color_scheme=scheme)
    page.goto(visitor.url)
    page.get_by_label("API key", exact=True).wait_for()
    found = {"key": visitor.barriers()}
    visitor.go(keys["admin"])
    found["empty"] = visitor.barriers()
    page.get_by_text("Options", exact=True).click()
    broken = picture("x.jpg").with_name("broken.jpg")
    broken.write_bytes(b"\xff\xd8\xff")
    visitor.choose(picture("portrait.jpg"), broken)
    visitor.result()
    page.get_by_text("1 failed").wait_for()
    found["compared"] = visitor.barriers()
    page.get_by_role("tab", name="Boxes").click()
    page.locator("svg.boxes .found").click()
    page.get_by_role("button", name="Add a box").click()
    found["boxes"] = visitor.barriers()
    page.get_by_role("button", name="broken.jpg", exact=False).first.click()
    page.locator(".picture .problem").wait_for()
    found["problem"] = visitor.barriers()
    page.goto(f"{visitor.url}/#/review")
    page.get_by_role("button", name="Draw").wait_for()
    found["review"] = visitor.barriers()
    page.goto(f"{visitor.url}/#/dashboard")
    page.locator(".card").first.wait_for()
    page.locator("figure summary").first.click()
    found["dashboard"] = visitor.barriers()
    assert {name: each for name, each in found.items() if each} == {}


def test_the_page_keeps_nothing_but_the_key_of_the_tab(
    visitor: Visitor, keys: dict[str, str], picture: Picture
) -> None:
    page = visitor.page
    visitor.go(keys["anonymize"])
    visitor.choose(picture("portrait.jpg"))
    visitor.result()
    kept = visitor.kept()
    assert kept.pop("session") == ["veil-key"]
    assert kept == {"local": {}, "databases": 0, "caches": 0, "workers": 0, "cookies": ""}
    page.reload()
    page.locator(".drop").wait_for()
    assert page.locator(".queue li").count() == 0


def test_nothing_inline_and_nothing_from_elsewhere_is_let_in(visitor: Visitor) -> None:
    answer = httpx.get(visitor.url + "/")
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy.replace("https://", "http://") or "://" not in policy
    assert answer.headers["referrer-policy"] == "no-referrer"
    page = visitor.page
    page.goto(visitor.url)
    page.get_by_label("API key", exact=True).wait_for()
    ran = page.evaluate(
        """async () => {
            const inline = document.createElement('script');
            inline.textContent = 'window.ran = true';
            document.head.append(inline);
            const reached = await fetch('http://127.0.0.1:9/').then(() => true, () => false);
            return [window.ran === true, reached];
        }"""
    )
    assert ran == [False, False]
    assert len(visitor.wrong) >= 2, "the browser said nothing of what its policy stopped"
    assert all("Content Security Policy" in each for each in visitor.wrong)
    visitor.wrong.clear()
    visitor.asked = [each for each in visitor.asked if ":9/" not in each]


def other(context: BrowserContext, address: str) -> Page:
    page = context.new_page()
    page.goto(address)
    assert page.title() == "viewer"
    return page


def test_a_page_of_a_listed_origin_may_call(
    context: BrowserContext, service: ServiceProcess, keys: dict[str, str], elsewhere: int
) -> None:
    page = other(context, f"http://127.0.0.1:{elsewhere}/")
    models = page.evaluate(CALL, [f"{service.url}/v1/models", keys["anonymize"], False])
    assert models["status"] == 200
    assert models["body"]["models"]
    assert models["seen"][0]
    refused = page.evaluate(CALL, [f"{service.url}/v1/models", keys["anonymize"], True])
    assert refused["status"] == 401, "a page that may call must see why it is refused"
    assert refused["body"]["type"] == "/problems/unauthenticated"
    assert refused["body"]["remedy"]
    missing = page.evaluate(CALL, [f"{service.url}/v1/nothing", keys["anonymize"], False])
    assert missing["status"] == 404
    picture = page.evaluate(UPLOAD, [f"{service.url}/v1/anonymize", keys["anonymize"]])
    assert (picture["status"], picture["type"]) == (200, "image/png")
    assert picture["receipt"]


def test_a_page_of_another_origin_may_not(
    context: BrowserContext, service: ServiceProcess, keys: dict[str, str], elsewhere: int
) -> None:
    """The same server by its other name: another origin."""
    page = other(context, f"http://localhost:{elsewhere}/")
    assert page.evaluate(CALL, [f"{service.url}/v1/models", keys["anonymize"], False]) == {"failed": "TypeError"}
    assert page.evaluate(UPLOAD, [f"{service.url}/v1/anonymize", keys["anonymize"]]) == {"failed": "TypeError"}
