"""Foreign text made harmless for terminals, logs, tables and the page."""

import json
from typing import Any

from agent.logs import without_known


def counted(number: int, one: str, many: str | None = None) -> str:
    """Return a number with its word, as in 1 clip, 2 clips; 1 is there, 2 are there.

    Args:
        number: how many.
        one: the word for one of them.
        many: the word for any other number; `one` and an s if absent.
    """
    return f"{number} {one if number == 1 else many or f'{one}s'}"


def gettext_noop(message: str) -> str:
    """Mark a message for the page's catalogues: it is translated where it is shown."""
    return message


def ngettext_noop(one: str, many: str) -> tuple[str, str]:
    """Mark a message with a number, in its forms for one and for any other."""
    return one, many


NOT_PLAIN = "not-a-plain-name"
_LONGEST_BYTES = 255


def plain_name(text: object) -> str:
    """Return the stored name of a file of ours; a harmless one where it could lead elsewhere.

    Whoever may write the database could put a path there.  A file of the harmless name never is
    there: the row counts as one whose file is missing.
    """
    name = str(text)
    if not name.isprintable() or "/" in name or name.startswith(".") or name.endswith(".json"):
        return NOT_PLAIN
    return name if 0 < len(name.encode("utf-8", "replace")) <= _LONGEST_BYTES else NOT_PLAIN


def printable_file_name(name: str) -> str:
    """Return a file name that can be stored and shown, whatever bytes it is made of."""
    shown = name.encode("utf-8", "backslashreplace").decode("utf-8")
    return "".join(sign if sign.isprintable() else repr(sign)[1:-1] for sign in shown)


_MOST_DIGITS = 400  # of a whole number; more is none that anybody measured
_MOST_NAME = 1000  # signs of a session's id or title
_MOST_SECRET = 4096  # signs
_NO_SIGN = "\ufffd"  # stands for what is none, as everywhere


def printable(words: str, most: int) -> str:
    """Return a foreign text as one printable line of at most so many signs.

    A host that repeats what it was sent must not bring the key where others read.
    """
    told = without_known(words[: most + _MOST_SECRET])[:most]
    shown = "".join(sign if sign.isprintable() else " " for sign in told)
    return " ".join(shown.split())


def plain(name: str) -> str:
    """Return a foreign name as it came, but for signs that would command a terminal or are none.

    Half a character (JSON may hold one) could be written into no table.
    """
    short = name[:_MOST_NAME]
    if short.isprintable():
        return short
    return "".join(sign if sign.isprintable() else _NO_SIGN for sign in short)


def read_json(content: str | bytes) -> Any:
    """Return what a JSON document holds, whoever wrote it.

    Raises:
        ValueError: it is none, or nested so deeply that Python does not read it.
    """
    try:
        return json.loads(content)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def whole_number(digits: str) -> int | float:
    """Return a whole number of a JSON document; one without end must not cost the document.

    Python reads no more than 4300 digits, and says of longer ones that there is no JSON.
    """
    return int(digits) if len(digits) <= _MOST_DIGITS else float(digits)
