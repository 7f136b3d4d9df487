"""Texts that others tell, made harmless: they reach terminals, logs and tables.  Pure."""

_NO_SIGN = "\ufffd"  # stands for what is none, as everywhere


def printable(words: str, most: int) -> str:
    """Return a foreign text as one printable line of at most so many signs."""
    shown = "".join(sign if sign.isprintable() else " " for sign in words[:most])
    return " ".join(shown.split())


def plain(name: str, most: int) -> str:
    """Return a foreign name as it came, but for signs that would command a terminal or are none.

    Half a character (JSON may hold one) could be written into no table.
    """
    short = name[:most]
    if short.isprintable():
        return short
    return "".join(sign if sign.isprintable() else _NO_SIGN for sign in short)
