"""Texts that others tell, made harmless: they reach terminals, logs and tables.  Pure."""

_MOST_DIGITS = 400  # of a whole number; more is none that anybody measured
_MOST_NAME = 1000  # signs of a session's id or title
_NO_SIGN = "\ufffd"  # stands for what is none, as everywhere


def printable(words: str, most: int) -> str:
    """Return a foreign text as one printable line of at most so many signs."""
    shown = "".join(sign if sign.isprintable() else " " for sign in words[:most])
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
