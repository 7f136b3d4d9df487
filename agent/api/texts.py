"""Texts that others tell, made harmless: they reach terminals, logs, tables and the page."""

from agent.redaction import without_known

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


def whole_number(digits: str) -> int | float:
    """Return a whole number of a JSON document; one without end must not cost the document.

    Python reads no more than 4300 digits, and says of longer ones that there is no JSON.
    """
    return int(digits) if len(digits) <= _MOST_DIGITS else float(digits)
