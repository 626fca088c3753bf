"""The generated pages say what the code does, and settings that pages name exist."""

import re
from pathlib import Path

import pytest

from docs.write_reference import FOLDER, PAGES

ROOT = Path(__file__).resolve().parents[2]
PAGES_OF_THE_PROJECT = sorted(
    page
    for pattern in ("*.md", "docs/**/*.md", "deploy/**/*.md", "model_repository/**/*.md")
    for page in ROOT.glob(pattern)
)


@pytest.mark.parametrize("name", PAGES)
def test_a_generated_page_is_up_to_date(name: str) -> None:
    assert (FOLDER / name).read_text(encoding="utf-8") == PAGES[name](), "run 'make docs'"


def test_every_setting_named_in_the_docs_exists() -> None:
    known = set(re.findall(r"`(VEIL_\w+)`", PAGES["settings.md"]()))
    for page in PAGES_OF_THE_PROJECT:
        for name in re.findall(r"\bVEIL_[A-Z]+__[A-Z_]+\b", page.read_text(encoding="utf-8")):
            assert name.removesuffix("_FILE") in known, f"{page.name} names {name}"
