"""Names that cameras give their files, as they are stored, shown and looked for."""

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


def printable(name: str) -> str:
    """Return a file name that can be stored and shown, whatever bytes it is made of."""
    shown = name.encode("utf-8", "backslashreplace").decode("utf-8")
    return "".join(sign if sign.isprintable() else repr(sign)[1:-1] for sign in shown)
