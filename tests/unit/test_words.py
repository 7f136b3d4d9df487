"""Words that people read: lengths, sizes, and turns that stay out of plain English."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.cli.formatting import duration_words, size_words
from tests.conftest import REPOSITORY


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (0.4, "0 s"),
        (59.6, "1 min"),
        (90, "1 min 30 s"),
        (2699, "45 min"),
        (5400, "1 h 30 min"),
        (7199, "2 h"),
        (86_399, "24 h"),
        (100_000, "1 d 4 h"),
        (50_000_000, "579 d"),
    ],
)
def test_a_length_of_time(seconds: float, told: str) -> None:
    assert duration_words(seconds) == told


def test_a_size() -> None:
    assert [size_words(size) for size in (812, 1_700_000, 3e12)] == ["812 B", "1.7 MB", "3.0 TB"]


# Turns that stay out of what people read, each with what to write instead.
BANNED = {
    r"\banew\b": "again",
    r"\b(lies|lie|lay) (in|at|on|under|beside|below|inside|there|where)\b": ("is in, is stored in"),
    r"\blook(s|ed|ing)? into\b": "analyse, check",
    r"\bgoe?s? on\b": "continues, resumes",
    r"\bby (itself|themselves)\b": "automatically",
    r"\b(set|put|puts) aside\b": "quarantined",
    r"\b(is|are|was|were|be|been|being) told\b|\btold of\b|\btells no\b": "is notified, is shown",
    r"\btaken in\b(?! order)|\b(take|takes|took) (it|them|files?|recordings?) in\b": "admitted",
    r"\bmend(s|ed|ing)?\b": "fix, repair",
    r"\bwish(es|ed)?\b": "request",
    r"\baway with\b": "remove",
    r"\b(come|comes|came|coming) in\b(?! (the|any|this|a) )": "log in, arrive",
    r"\bwhose it is\b|\bsay whose\b": "the athlete",
    r"\bwho(so)?ever\b": "the user who",
    r"\bshall\b": "must, will",
    r"(?<!there )\b(is|are|was|were) no (?!longer\b|more\b)[a-z]": "is not a",
    r"\bspelt\b": "spelled",
    r"\bas you asked\b": "(leave it out)",
    r"\bmade good\b": "restored",
    r"\bnobody asked for\b": "unrequested",
    r"\bunseen\b": "without being analysed",
    r"\btime stamps?\b": "timestamp",
    r"\bin force\b": "in effect",
    r"\bcan only be read\b": "is read-only",
    r"\bcomes? into question\b": "is possible",
    r"\ball the same\b": "nevertheless",
    r"\bfor good\b": "permanently",
    r"\bon and on\b": "endlessly",
    r"\bin the works\b": "in progress",
    r"\bsessions? (is|are) made\b": "is created",
    r"\bthis is no\b|\bthere is none in\b": "is not a, is missing",
    r"\bsee that all is well\b": "verify",
    r"\bcould ever\b": "would",
    # Not systemd's class, and not yet the message of the analysis itself.
    r"(?<![`/])(?<!best-)\befforts?\b(?!`)": "take, movement",
}
_READ = re.compile("|".join(f"(?:{turn})" for turn in BANNED), re.IGNORECASE)

_DOCUMENTS = ("docs/**/*.md", "*.md", "config/**/*.*", "systemd/*", "Makefile")
_PAGE = ("agent/web/templates/**/*.html", "agent/web/locale/en/**/*.po")


def texts_of(path: Path) -> Iterator[tuple[int, str]]:
    """Yield what people may read in a file, each with its line."""
    if path.suffix == ".py":
        yield from _literals(ast.parse(path.read_text()))
    else:
        yield from enumerate(path.read_text().splitlines(), start=1)


def _literals(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield a module's texts; docstrings only of commands, whose help they are."""
    hidden = set()
    for node in ast.walk(tree):
        if not isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        decorators = [] if isinstance(node, ast.Module) else node.decorator_list
        is_command = any(re.search(r"command|group", ast.unparse(one)) for one in decorators)
        first = node.body[0] if node.body else None
        if isinstance(first, ast.Expr) and not is_command:
            hidden.add(id(first.value))
    for node in ast.walk(tree):
        if id(node) in hidden or not isinstance(node, ast.Constant):
            continue
        if isinstance(node.value, str) and " " in node.value:  # one word alone is an identifier
            yield node.lineno, " ".join(node.value.split())


def readable() -> list[Path]:
    code = [path for part in ("agent", "analysis") for path in (REPOSITORY / part).rglob("*.py")]
    rest = [path for some in (*_DOCUMENTS, *_PAGE) for path in REPOSITORY.glob(some)]
    return [path for path in (*code, *rest) if path.is_file()]


def test_no_banned_turn_is_read_anywhere() -> None:
    paths = readable()
    wrong = [
        f"{path.relative_to(REPOSITORY)}:{line}: {found[0]!r}: {text[:120]}"
        for path in paths
        for line, text in texts_of(path)
        if (found := _READ.search(text))
    ]

    assert len(paths) > 200
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    ("text", "is_banned"),
    [
        ("the page is made anew", True),
        ("it lies in the capture folder", True),
        ("delivery goes on by itself", True),
        ("'x' is no number: write 62.5", True),
        ("it is no longer needed", False),
        ("there is no previous version", False),
        ("captures are taken in order", False),
        ("No take in this period has this metric.", False),
        ("the amendment of a recording", False),
        ("footage lies inside the pause", True),
        ("new footage is deleted unseen", True),
        ("the session is made all the same", True),
        ("settle_unseen_s and timestamps", False),
        ("a device logged in", False),
        ("one effort was delivered", True),
        ("what is held has the remark `effort_doubtful`", False),
    ],
)
def test_banned_turns_are_told_from_plain_english(text: str, is_banned: bool) -> None:
    assert bool(_READ.search(text)) is is_banned
