"""Review and dashboard, over receipts that real pictures left."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import expect

from tests.browser.visitor import Visitor
from tests.e2e.setups import encoded, portrait
from tests.service_process import ServiceProcess

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def left(service: ServiceProcess, keys: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Anonymized pictures, as a reviewer has them."""
    folder = tmp_path_factory.mktemp("left")
    found = []
    for i in range(2):
        pixels = portrait()[: 512 - 16 * i]
        answer = httpx.post(
            f"{service.url}/v1/anonymize",
            params={"source_ref": f"review {i}"},
            content=encoded(pixels, "JPEG"),
            headers={"api-key": keys["anonymize"], "content-type": "image/jpeg"},
            timeout=60,
        )
        assert answer.status_code == 200
        found.append(folder / f"{i}.jpg")
        found[-1].write_bytes(answer.content)
    time.sleep(1.1)  # a sample's period ends at a whole second that is over
    return found


def judge(visitor: Visitor, key: str, left: list[Path]) -> None:
    """Draws a sample, gives the pictures to it and opens one."""
    page = visitor.page
    visitor.go(key, "review")
    page.get_by_label("Pictures", exact=True).first.fill("5000")
    page.get_by_role("button", name="Draw").click()
    page.locator(".drop").wait_for()
    visitor.choose(*left)
    at_hand = page.locator(".drawn button", has_text="picture at hand")
    at_hand.nth(1).wait_for()
    at_hand.first.click()
    expect(page.locator("img.judged")).to_be_visible()


@pytest.mark.usefixtures("axe")
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nobody_is_shut_out_of_a_review(visitor: Visitor, keys: dict[str, str], left: list[Path], scheme: Any) -> None:
    visitor.page.emulate_media(color_scheme=scheme)
    judge(visitor, keys["review"], left)
    assert visitor.barriers() == []


def test_a_review_moves_the_recall(visitor: Visitor, keys: dict[str, str], left: list[Path]) -> None:
    page = visitor.page
    judge(visitor, keys["review"], left)
    form = page.get_by_role("form", name="Verdict on faces")
    form.get_by_label("In the picture").fill("1")
    form.get_by_label("Not hidden").fill("2")
    form.get_by_role("button", name="Record").click()
    assert page.evaluate("document.querySelector('.verdicts input:invalid') !== null"), "more missed than seen"
    form.get_by_label("Not hidden").fill("0")
    form.get_by_role("button", name="Record").click()
    expect(page.locator("main")).to_contain_text("Reviewed: 1 of")
    row = page.get_by_role("row", name="face")
    expect(row).to_contain_text("100.0 %")
    expect(row).to_contain_text("5.0 %")  # Clopper and Pearson: 0.05 of one picture of one
    page.get_by_role("form", name="Verdict on plates").get_by_role("button", name="No plate here").click()
    expect(page.get_by_role("row", name="plate")).to_contain_text("–")


def test_the_dashboard_shows_what_the_receipts_say(
    visitor: Visitor, keys: dict[str, str], left: list[Path], picture: Callable[[str], Path]
) -> None:
    page = visitor.page
    visitor.go(keys["admin"], "dashboard")
    cards = page.locator(".card")
    cards.first.wait_for()
    said = httpx.get(f"{visitor.url}/v1/statistics", headers={"api-key": keys["admin"]}).json()
    total = sum(sum(day["outcomes"].values()) for day in said["days"])
    assert total >= len(left)
    expect(cards.first.locator("strong")).to_have_text(str(total))
    expect(page.get_by_role("row", name="anonymize key")).to_be_visible()
    expect(page.get_by_role("row", name="face/1")).to_be_visible()
    for name in ("Receipts by day and outcome", "Objects found by day and class", "Time by stage"):
        chart = page.get_by_role("img", name=name)
        expect(chart).to_be_visible()
        assert chart.locator("rect").count() > 0
    first = page.locator("figure").first
    expect(first.locator("tr")).to_have_count(1 + 30)
    expect(first.get_by_role("row")).to_have_count(0)
    first.locator("summary").click()
    expect(first.get_by_role("row")).to_have_count(1 + 30)
    page.get_by_label("Period").select_option("7")
    expect(first.locator("tr")).to_have_count(1 + 7)


def test_a_key_that_may_not_see_the_dashboard_is_told_so(visitor: Visitor, keys: dict[str, str]) -> None:
    page = visitor.page
    visitor.go(keys["review"], "dashboard")
    expect(page.locator("main .problem")).to_contain_text("role")
