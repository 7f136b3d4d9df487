"""Names that cameras give their files, as they are stored, shown and looked for."""


def printable(name: str) -> str:
    """Return a file name that can be stored and shown, whatever bytes it is made of."""
    shown = name.encode("utf-8", "backslashreplace").decode("utf-8")
    return "".join(sign if sign.isprintable() else repr(sign)[1:-1] for sign in shown)
