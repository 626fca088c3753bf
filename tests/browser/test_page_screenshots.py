"""The docs' pictures of the page, from a public-domain photograph; `make screenshots` keeps them.

What is checked here: that each view still can be brought to what the docs show.
"""

import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from tests.browser.visitor import Visitor
from tests.e2e.setups import encoded, portrait

pytestmark = pytest.mark.slow
MOST_BYTES = 200_000
Keep = Callable[[Page, str], None]


@pytest.fixture(scope="module")
def keep(tmp_path_factory: pytest.TempPathFactory) -> Keep:
    """Saves what the tab shows, with the 256 colors that suit it, in `SCREENSHOTS` or nowhere that lasts."""
    folder = Path(os.environ.get("SCREENSHOTS") or tmp_path_factory.mktemp("screenshots"))

    def save(page: Page, name: str) -> None:
        path = folder / f"{name}.png"
        page.mouse.move(0, 0)
        time.sleep(0.3)
        page.screenshot(path=path)
        with Image.open(path) as shot:
            reduced = shot.convert("RGB").quantize(256, dither=Image.Dither.NONE)
        reduced.save(path, optimize=True)
        assert path.stat().st_size < MOST_BYTES

    return save


def gallery() -> npt.NDArray[np.uint8]:
    """(1024, 2048, 3) uint8: an equirectangular room with eight walls, the portrait on every second one."""
    yaw, pitch = np.meshgrid(
        (np.arange(2048) + 0.5) / 2048 * 2 * np.pi, np.pi / 2 - (np.arange(1024) + 0.5) / 1024 * np.pi
    )
    wall = np.floor(yaw / (np.pi / 4)).astype(int)
    aside = np.tan(yaw - (wall + 0.5) * np.pi / 4)  # -0.41 to 0.41 along a wall at distance 1
    height = np.tan(pitch) / np.cos(yaw - (wall + 0.5) * np.pi / 4)
    room = np.empty((1024, 2048, 3), np.uint8)
    room[:] = np.where((wall % 2 == 0)[..., None], (214, 207, 196), (198, 190, 178))
    room[height > 0.6] = (238, 236, 230)
    floor = height < -0.5
    with np.errstate(divide="ignore"):
        reach = 0.5 / np.maximum(np.tan(-pitch), 1e-6)
    boards = (np.floor(reach * np.sin(yaw) * 6) + np.floor(reach * np.cos(yaw) * 6)) % 2 == 0
    room[floor] = np.where(boards[floor][:, None], (122, 92, 66), (108, 80, 57))
    x, y = ((aside + 0.3) / 0.6 * 512).astype(int), ((0.3 - height) / 0.6 * 512).astype(int)
    hung = (wall % 2 == 0) & (x >= 0) & (x < 512) & (y >= 0) & (y < 512)
    room[(wall % 2 == 0) & (np.abs(aside) < 0.32) & (np.abs(height) < 0.32)] = (40, 36, 32)
    room[hung] = portrait()[y[hung], x[hung]]
    return room


@pytest.fixture
def wide(visitor: Visitor) -> Page:
    visitor.page.set_viewport_size({"width": 1160, "height": 720})
    return visitor.page


def test_the_views_for_pictures(
    visitor: Visitor, wide: Page, keys: dict[str, str], picture: Callable[[str], Path], keep: Keep
) -> None:
    visitor.go(keys["admin"])
    visitor.choose(picture("portrait.jpg"), picture("portrait-copy.jpg"))
    visitor.result()
    wide.get_by_text("2 of 2 done").wait_for()
    keep(wide, "page")
    wide.get_by_role("tab", name="Boxes").click()
    wide.get_by_role("button", name="Add a box").click()
    for i, value in ((2, 345), (3, 375), (0, 262), (1, 345)):  # the far sides first: a box never turns over
        wide.locator(".numbers input").nth(i).fill(str(value))
        wide.keyboard.press("Tab")
    expect(wide.locator("svg.boxes .added")).to_have_count(1)
    keep(wide, "page-boxes")


def test_the_dashboard_and_a_panorama(
    visitor: Visitor,
    wide: Page,
    keys: dict[str, str],
    picture: Callable[[str], Path],
    tmp_path: Path,
    keep: Keep,
) -> None:
    panorama, broken = tmp_path / "panorama.jpg", tmp_path / "broken.jpg"
    panorama.write_bytes(encoded(gallery(), "JPEG"))
    broken.write_bytes(b"\xff\xd8\xff")
    visitor.go(keys["admin"])
    visitor.choose(picture("portrait.jpg"), picture("portrait-copy.jpg"), broken)
    wide.get_by_text("2 of 3 done, 1 failed").wait_for()
    wide.get_by_role("button", name="Clear").click()
    wide.get_by_text("Options", exact=True).click()
    wide.get_by_label("Projection", exact=True).select_option("equirectangular")
    wide.get_by_text("Options", exact=True).click()
    visitor.choose(panorama)
    visitor.result()
    wide.get_by_role("tab", name="Turn").click()
    wide.locator(".sphere[data-ready=true]").wait_for()
    keep(wide, "page-panorama")
    wide.emulate_media(color_scheme="dark")
    wide.get_by_role("link", name="Dashboard").click()
    wide.locator(".card").first.wait_for()
    wide.get_by_label("Period").select_option("7")
    expect(wide.locator("figure").first.locator("tr")).to_have_count(1 + 7)
    keep(wide, "page-dashboard")
