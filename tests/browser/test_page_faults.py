"""What goes wrong is said: by the page in the service's own words, and never with a picture."""

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, expect

from tests.browser.visitor import Visitor
from tests.service_process import ServiceProcess

pytestmark = pytest.mark.slow


def test_a_wrong_key_is_refused_and_asked_for_again(visitor: Visitor, keys: dict[str, str]) -> None:
    page = visitor.page
    page.goto(visitor.url)
    page.get_by_label("API key", exact=True).fill("wrong")
    page.get_by_role("button", name="Use this key").click()
    expect(page.locator("#key-problem")).to_contain_text("key")
    page.get_by_label("API key", exact=True).fill(keys["anonymize"])
    page.get_by_role("button", name="Use this key").click()
    page.locator(".drop").wait_for()


def test_whoever_gives_no_key_sees_why_nothing_is_there(visitor: Visitor) -> None:
    page = visitor.page
    page.goto(visitor.url)
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator("main .problem")).to_contain_text("veil keys create")


def test_a_refused_picture_says_what_to_do(visitor: Visitor, keys: dict[str, str], tmp_path: Path) -> None:
    page = visitor.page
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"\xff\xd8\xff\xe0 this is not a picture")
    visitor.go(keys["anonymize"])
    visitor.choose(broken)
    problem = page.locator(".picture .problem")
    problem.wait_for()
    expect(problem.locator("strong")).not_to_be_empty()
    expect(problem.locator(".remedy")).not_to_be_empty()
    expect(page.locator(".queue li.failed")).to_have_count(1)
    expect(page.get_by_role("button", name="Download", exact=True)).to_have_count(0)
    expect(page.get_by_role("button", name="Try again")).to_be_enabled()


def test_a_wrong_option_is_pointed_at(visitor: Visitor, keys: dict[str, str], picture: Callable[[str], Path]) -> None:
    """An option that only the service can refuse: a rounded position in an answer without one."""
    page = visitor.page
    visitor.go(keys["anonymize"])
    page.get_by_text("Options", exact=True).click()
    page.get_by_label("Position rounded to").select_option("10m")
    visitor.choose(picture("portrait.jpg"))
    expect(page.locator(".picture .problem li")).to_contain_text("/geo")


def test_a_service_that_is_gone_is_said_to_be(
    context: BrowserContext, tmp_path: Path, picture: Callable[[str], Path]
) -> None:
    with ServiceProcess(tmp_path) as service:
        visitor = Visitor.come(context, service.url)
        visitor.go()
        visitor.choose(picture("portrait.jpg"))
        visitor.result()
        service.stop()
        visitor.page.get_by_role("button", name="Anonymize again").click()
        expect(visitor.page.locator(".picture .problem")).to_contain_text("cannot be reached")
        expect(visitor.page.get_by_role("button", name="Anonymize again")).to_be_enabled()


@pytest.mark.parametrize("part", ["pictures.js", "receipt.js"])
def test_a_part_of_the_page_that_is_lost_on_the_way_is_asked_for_again(
    visitor: Visitor, keys: dict[str, str], part: str
) -> None:
    visitor.lose(part)
    visitor.go(keys["anonymize"])
    expect(visitor.page.locator(".drop")).to_be_visible()
    assert sum(each.endswith(part) for each in visitor.asked) == 2


def test_a_page_that_does_not_come_completely_says_so_and_offers_to_load_it_again(
    visitor: Visitor, keys: dict[str, str]
) -> None:
    page = visitor.page
    visitor.lose("receipt.js", times=2)
    visitor.go(keys["anonymize"])
    expect(page.locator("main .problem")).to_contain_text("did not come completely")
    page.get_by_role("button", name="Load the page again").click()
    expect(page.locator(".drop")).to_be_visible()


def test_a_view_that_does_not_come_leaves_the_pictures_of_the_other_one(
    visitor: Visitor, keys: dict[str, str], picture: Callable[[str], Path]
) -> None:
    page = visitor.page
    visitor.go(keys["admin"])
    visitor.choose(picture("portrait.jpg"))
    visitor.result()
    visitor.lose("verdicts.js")
    page.get_by_role("link", name="Review", exact=True).click()
    expect(page.locator("main .problem")).to_contain_text("did not come completely")
    page.get_by_role("link", name="Pictures", exact=True).click()
    expect(page.locator(".compare")).to_be_visible()
