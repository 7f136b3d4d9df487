"""Links in the documents lead to files and headings that exist, and the glossary stays short."""

import re
from collections import Counter
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY

DOCUMENTS = sorted(
    path
    for pattern in ("*.md", "docs/**/*.md", ".github/**/*.md")
    for path in REPOSITORY.glob(pattern)
)
_FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(([^()\s]+)\)")
_HEADING = re.compile(r"^#{1,6} +(.+?) *$", re.MULTILINE)
_MOST_TERMS = 60
_LONGEST_PAGE = 300  # lines


def prose(path: Path) -> str:
    """Return a document without its code blocks."""
    return _FENCE.sub("", path.read_text())


def anchors(path: Path) -> set[str]:
    """Return the anchors of a document's headings, as forges make them."""
    seen: Counter[str] = Counter()
    found = set()
    for heading in _HEADING.findall(prose(path)):
        words = re.sub(r"[^\w\- ]", "", heading.replace("`", "").lower()).replace(" ", "-")
        found.add(f"{words}-{seen[words]}" if seen[words] else words)
        seen[words] += 1
    return found


def broken_links(path: Path) -> list[str]:
    """Return the relative links of a document that lead nowhere."""
    return [
        link
        for link in _LINK.findall(prose(path))
        if "://" not in link and not link.startswith("mailto:") and not leads_somewhere(path, link)
    ]


def leads_somewhere(path: Path, link: str) -> bool:
    """Tell whether a relative link's file, and the heading it names, exist in the repository."""
    place, _, anchor = link.partition("#")
    target = (path.parent / place).resolve() if place else path
    inside = target.is_relative_to(REPOSITORY) and target.exists()
    return inside and (not anchor or anchor in anchors(target))


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_links_lead_to_files_and_headings_that_exist(path: Path) -> None:
    assert broken_links(path) == []


def test_every_page_is_linked_from_another() -> None:
    linked = {
        (path.parent / link.partition("#")[0]).resolve()
        for path in DOCUMENTS
        for link in _LINK.findall(prose(path))
        if "://" not in link and not link.startswith("#")
    }

    assert set((REPOSITORY / "docs").glob("**/*.md")) - linked == set()


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_no_page_is_longer_than_a_reader_who_looks_for_one_thing_can_use(path: Path) -> None:
    is_page = path.parent.name == "docs"
    assert not is_page or len(path.read_text().splitlines()) <= _LONGEST_PAGE


def test_modules_that_the_architecture_page_names_exist() -> None:
    page = prose(REPOSITORY / "docs/architecture.md")
    named = set(re.findall(r"`([a-z_]+/[a-z_/]+)`", page))
    missing = [
        name
        for name in sorted(named)
        if not any(
            (REPOSITORY / root / f"{name}{suffix}").exists()
            for root in ("", "agent")
            for suffix in ("", ".py")
        )
    ]

    assert len(named) > 30 and missing == []


def test_broken_links_are_found() -> None:
    page = REPOSITORY / "docs" / "behaviour.md"

    assert leads_somewhere(page, "behaviour.md#the-disk") and leads_somewhere(page, "#the-disk")
    assert not leads_somewhere(page, "behaviour.md#no-such-heading")
    assert not leads_somewhere(page, "no-such-page.md")
    assert not leads_somewhere(page, "../../outside.md")


def test_the_glossary_has_at_most_sixty_terms_each_once() -> None:
    rows = re.findall(r"^\| (?!term |---)(.+?) \|", prose(REPOSITORY / "docs/glossary.md"), re.M)
    terms = Counter(term for row in rows for term in row.split(", "))

    assert len(terms) <= _MOST_TERMS
    assert [term for term, count in terms.items() if count > 1] == []


def test_every_page_is_on_the_site() -> None:
    folder = REPOSITORY / "docs"
    nav = (REPOSITORY / "config" / "docs" / "mkdocs.yml").read_text().partition("nav:")[2]
    listed = re.findall(r": (\S+\.md)$", nav, re.MULTILINE)

    assert sorted(listed) == sorted(
        str(path.relative_to(folder)) for path in folder.glob("**/*.md")
    )
