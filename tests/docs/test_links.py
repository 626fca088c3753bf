"""Every link of the docs leads somewhere, down to the heading, and every page can be reached from docs/README.md."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
INDEX = ROOT / "docs" / "README.md"
PAGES = sorted(
    page
    for pattern in ("*.md", "docs/**/*.md", "deploy/**/*.md", "model_repository/**/*.md")
    for page in ROOT.glob(pattern)
)


def prose(page: Path) -> str:
    """The page without its blocks of code."""
    return re.sub(r"^([ ]*)```.*?^\1```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)


def links(page: Path) -> list[tuple[Path, str]]:
    """Relative links: the file, and the heading's anchor or an empty string."""
    found = re.findall(r"\]\((?![a-z]+:)([^)#\s]*)(?:#([^)\s]+))?\)", prose(page))
    return [((page.parent / target).resolve() if target else page, anchor) for target, anchor in found]


def anchors(page: Path) -> set[str]:
    """As GitHub makes them of the headings."""
    made: dict[str, int] = {}
    given = set()
    for heading in re.findall(r"^#+ +(.+?) *$", prose(page), re.MULTILINE):
        text = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading)
        slug = re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")
        count = made.setdefault(slug, 0)
        made[slug] += 1
        given.add(f"{slug}-{count}" if count else slug)
    return given


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for target, anchor in links(page):
        assert target.exists(), f"there is no {target}"
        assert target.is_relative_to(ROOT)
        if anchor:
            assert anchor in anchors(target), f"{target.name} has no heading #{anchor}"


def test_there_are_anchors_among_the_links() -> None:
    assert sum(bool(anchor) for page in PAGES for _, anchor in links(page)) > 5


def test_every_page_can_be_reached_from_the_index() -> None:
    reached, waiting = set(), [INDEX]
    while waiting:
        page = waiting.pop()
        if page in reached or page.suffix != ".md":
            continue
        reached.add(page)
        waiting += [target for target, _ in links(page)]
    assert set(PAGES) - reached == set()


def test_the_index_names_every_page_itself() -> None:
    """Of the parts that Diátaxis has; decisions have an index of their own."""
    named = {target for target, _ in links(INDEX)}
    parts = ("tutorial", "how-to", "reference", "explanation")
    assert {page for page in PAGES if page.parent.name in parts} - named == set()
