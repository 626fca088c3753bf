"""Pictures at the page: given, compared, corrected by mouse and by keyboard, sent again, downloaded."""

import io
import json
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image
from playwright.sync_api import BrowserContext, Download, Locator, Page, expect

from tests.browser.visitor import Visitor
from tests.browser.wire import wire_to
from tests.e2e.setups import FACE, encoded, portrait
from tests.service_process import ServiceProcess

pytestmark = pytest.mark.slow
Picture = Callable[[str], Path]


def pixels(download: Download) -> npt.NDArray[np.int16]:
    return np.asarray(Image.open(download.path()).convert("RGB")).astype(np.int16)


def downloaded(page: Page, button: str = "Download") -> Download:
    with page.expect_download() as waited:
        page.get_by_role("button", name=button, exact=button == "Download").click()
    return waited.value


def changed(after: npt.NDArray[np.int16], box: tuple[int, int, int, int]) -> float:
    """Mean difference to the portrait inside a box."""
    x1, y1, x2, y2 = box
    before = np.asarray(Image.open(io.BytesIO(encoded(portrait(), "JPEG"))).convert("RGB")).astype(np.int16)
    return float(np.abs(after - before)[y1:y2, x1:x2].mean())


def test_a_picture_comes_back_anonymized_with_its_receipt(
    visitor: Visitor, keys: dict[str, str], picture: Picture
) -> None:
    page = visitor.page
    visitor.go(keys["anonymize"])
    assert page.get_by_role("link", name="Dashboard").count() == 0, "shown to a key that may not see it"
    visitor.choose(picture("jane-doe-passport.jpg"))
    visitor.result()
    expect(page.locator(".queue .state")).to_have_text("1 hidden")
    expect(page.locator(".receipt")).to_contain_text("✓ this picture")
    expect(page.locator(".receipt")).to_contain_text("✓ valid, by the key")
    slider = page.get_by_label("Share of the original that is shown")
    slider.press("End")
    expect(slider).to_have_attribute("aria-valuetext", "100 percent original")
    found = downloaded(page)
    assert found.suggested_filename == "jane-doe-passport.jpg"
    after = pixels(found)
    assert changed(after, FACE) > 20
    assert changed(after, (300, 300, 500, 500)) == 0


def test_the_name_of_a_file_stays_in_the_browser(
    context: BrowserContext, service: ServiceProcess, keys: dict[str, str], picture: Picture
) -> None:
    path = picture("jane-doe-passport.jpg")
    with wire_to(int(service.url.rsplit(":", 1)[1])) as wire:
        visitor = Visitor.come(context, f"http://127.0.0.1:{wire.port}")
        visitor.go(keys["anonymize"])
        visitor.choose(path)
        visitor.result()
        context.close()
    assert path.read_bytes() in wire.sent, "the wire has not seen the picture itself"
    assert b"jane" not in wire.sent
    assert "jane" not in service.text()


def test_boxes_are_added_and_removed_by_mouse(visitor: Visitor, keys: dict[str, str], picture: Picture) -> None:
    page = visitor.page
    visitor.go(keys["anonymize"])
    visitor.choose(picture("portrait.jpg"))
    visitor.result()
    page.get_by_role("tab", name="Boxes").click()
    page.locator("svg.boxes .found").click()
    expect(page.locator("svg.boxes .found")).to_have_attribute("aria-pressed", "true")
    place = page.locator("svg.boxes").bounding_box()
    assert place is not None
    scale = place["width"] / 512
    page.mouse.move(place["x"] + 340 * scale, place["y"] + 350 * scale)
    page.mouse.down()
    page.mouse.move(place["x"] + 440 * scale, place["y"] + 450 * scale, steps=4)
    page.mouse.up()
    expect(page.locator("svg.boxes .added")).to_have_count(1)
    page.get_by_role("button", name="Anonymize again").click()
    expect(page.locator(".actions")).not_to_contain_text("The boxes are changed")
    page.get_by_role("tab", name="Boxes").wait_for()
    after = pixels(downloaded(page))
    assert changed(after, FACE) == 0, "what is to be left visible is hidden, if only at its edge"
    assert changed(after, (350, 360, 430, 440)) > 5


def test_boxes_are_added_moved_and_removed_by_keyboard(
    visitor: Visitor, keys: dict[str, str], picture: Picture
) -> None:
    page = visitor.page
    visitor.go(keys["anonymize"])
    visitor.choose(picture("portrait.jpg"))
    visitor.result()
    page.get_by_role("tab", name="Compare").focus()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("tab", name="Boxes")).to_be_focused()
    page.locator("svg.boxes .found").focus()
    page.keyboard.press("Delete")
    expect(page.locator("svg.boxes .found")).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("Enter")
    expect(page.locator("svg.boxes .found")).to_have_attribute("aria-pressed", "false")
    fitted = page.locator("svg.boxes").bounding_box()
    page.get_by_label("Zoom").select_option("4")
    magnified = page.locator("svg.boxes").bounding_box()
    assert fitted is not None
    assert magnified is not None
    assert magnified["width"] > 3 * fitted["width"]
    page.get_by_role("button", name="Add a box").focus()
    for _ in range(2):
        page.keyboard.press("Enter")
        page.get_by_role("button", name="Add a box").focus()
    boxes = page.locator("svg.boxes .added")
    expect(boxes).to_have_count(2)
    boxes.nth(1).focus()
    page.keyboard.press("Delete")
    expect(boxes).to_have_count(1)
    boxes.first.focus()
    before = json.loads(
        page.evaluate("JSON.stringify([...document.querySelectorAll('.numbers input')].map(e => e.value))")
    )
    for key in ("ArrowRight", "ArrowRight", "ArrowDown", "Shift+ArrowRight"):
        page.keyboard.press(key)
    expect(boxes.first).to_be_focused()
    after = json.loads(
        page.evaluate("JSON.stringify([...document.querySelectorAll('.numbers input')].map(e => e.value))")
    )
    assert [int(b) - int(a) for a, b in zip(before, after, strict=True)] == [6, 3, 9, 3]
    page.get_by_role("button", name="Anonymize again").press("Enter")
    expect(page.locator(".actions")).not_to_contain_text("The boxes are changed")
    x1, y1, x2, y2 = (int(each) for each in after)
    done = pixels(downloaded(page))
    assert changed(done, (x1 + 8, y1 + 8, x2 - 8, y2 - 8)) > 5
    assert changed(done, FACE) > 20


def test_many_pictures_become_one_archive(visitor: Visitor, keys: dict[str, str], picture: Picture) -> None:
    page = visitor.page
    visitor.go(keys["anonymize"])
    first, second, text = picture("a/street.jpg"), picture("b/street.jpg"), picture("c.jpg").with_name("notes.txt")
    text.write_text("no picture", encoding="utf-8")
    visitor.choose(first, second, text)
    expect(page.locator("#status")).to_contain_text("1 other files are left out")
    page.get_by_text("2 of 2 done").wait_for()
    archive = zipfile.ZipFile(downloaded(page, "Download all").path())
    assert archive.testzip() is None
    assert sorted(archive.namelist()) == [
        "street-2.jpg", "street-2.jpg.receipt.json", "street.jpg", "street.jpg.receipt.json",
    ]  # fmt: skip
    receipt = json.loads(archive.read("street.jpg.receipt.json"))
    assert receipt["counts"] == {"face": 1, "plate": 0}


def test_a_folder_that_is_chosen_keeps_its_tree(visitor: Visitor, keys: dict[str, str], picture: Picture) -> None:
    page = visitor.page
    visitor.go(keys["anonymize"])
    folder = picture("survey/day-1/one.jpg").parent.parent
    picture("survey/day-2/two.jpg")
    page.set_input_files(".drop input[webkitdirectory]", str(folder))
    page.get_by_text("2 of 2 done").wait_for()
    names = zipfile.ZipFile(downloaded(page, "Download all").path()).namelist()
    assert {"survey/day-1/one.jpg", "survey/day-2/two.jpg"} <= set(names)


def test_a_folder_that_is_dropped_is_walked(visitor: Visitor, keys: dict[str, str], picture: Picture) -> None:
    """As the desktop does it, from outside of the browser: a folder within the dropped one, and a file beside it."""
    page = visitor.page
    visitor.go(keys["anonymize"])
    folder = picture("dropped/within/one.jpg").parent.parent
    place = page.locator(".drop").bounding_box()
    assert place is not None
    hand = page.context.new_cdp_session(page)
    for kind in ("dragEnter", "dragOver", "drop"):
        files = {"items": [], "files": [str(folder), str(picture("two.jpg"))], "dragOperationsMask": 1}
        hand.send("Input.dispatchDragEvent", {"type": kind, "x": place["x"] + 9, "y": place["y"] + 9, "data": files})
    page.get_by_text("2 of 2 done").wait_for()
    names = page.locator(".queue .name").all_text_contents()
    assert sorted(names) == ["dropped/within/one.jpg", "two.jpg"]


def test_options_are_those_of_the_form(visitor: Visitor, keys: dict[str, str], picture: Picture) -> None:
    page = visitor.page
    visitor.go(keys["anonymize"])
    page.get_by_text("Options", exact=True).click()
    page.get_by_label("Hide plates").uncheck()
    page.get_by_label("Obscure").first.select_option("fill")
    page.get_by_label("Threshold").first.fill("0.4")
    page.get_by_label("Format", exact=True).select_option("png")
    visitor.choose(picture("portrait.jpg"))
    visitor.result()
    found = downloaded(page, "Save the receipt")
    policy = json.loads(found.path().read_text(encoding="utf-8"))["policy"]
    assert [each["name"] for each in policy["classes"]] == ["face"]
    assert (policy["classes"][0]["obscure"], policy["classes"][0]["threshold"]) == ("fill", 0.4)
    assert policy["format"] == "png"
    assert downloaded(page).suggested_filename == "portrait.png"


def turn(visitor: Visitor, key: str, folder: Path) -> Locator:
    """Gives a panorama to the page and opens the view that can be turned."""
    page = visitor.page
    small = portrait()[::2, ::2]
    wide = np.hstack([small, small[:, ::-1]])
    path = folder / "panorama.jpg"
    path.write_bytes(encoded(np.ascontiguousarray(wide), "JPEG"))
    visitor.go(key)
    page.get_by_text("Options", exact=True).click()
    page.get_by_label("Projection", exact=True).select_option("equirectangular")
    page.get_by_label("Search", exact=True).select_option("fast")
    visitor.choose(path)
    visitor.result()
    page.get_by_role("tab", name="Turn").click()
    sphere = page.locator(".sphere[data-ready=true]")
    sphere.wait_for()
    return sphere


@pytest.mark.usefixtures("axe")
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nobody_is_shut_out_of_a_panorama(visitor: Visitor, keys: dict[str, str], tmp_path: Path, scheme: Any) -> None:
    visitor.page.emulate_media(color_scheme=scheme)
    turn(visitor, keys["anonymize"], tmp_path)
    assert visitor.barriers() == []


def test_a_panorama_can_be_turned(visitor: Visitor, keys: dict[str, str], tmp_path: Path) -> None:
    page = visitor.page
    sphere = turn(visitor, keys["anonymize"], tmp_path)
    place = sphere.bounding_box()
    assert place is not None
    middle = (place["x"] + place["width"] / 2, place["y"] + place["height"] / 2)
    page.mouse.move(*middle)
    page.mouse.down()
    page.mouse.move(middle[0] - 200, middle[1], steps=5)
    page.mouse.up()
    expect(sphere).to_have_attribute("data-yaw", re.compile(r"^(?!0\.000$)\d"))
