"""Names as people write them and as they are searched.  Pure; whatever the account says."""

import unicodedata

MOST_NAME = 120  # characters; what is longer is no name

_JOINERS = "\u200c\u200d"  # belong to the spelling of several scripts
_PLAIN = str.maketrans(
    {"ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "æ": "ae", "œ": "oe", "ı": "i", "ŧ": "t"}
)
_GERMAN = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue"})


def clean_name(name: str) -> str:
    """Return a name that can be shown: one line, no control or direction signs, bounded."""
    known = unicodedata.normalize("NFC", name[: 4 * MOST_NAME])
    shown = "".join(sign if _is_shown(sign) else " " for sign in known)
    return " ".join(shown.split())[:MOST_NAME].strip()


def fold(text: str) -> str:
    """Return text as it is searched: no case, no accents."""
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    plain = "".join(sign for sign in decomposed if unicodedata.category(sign) != "Mn")
    return " ".join(plain.casefold().translate(_PLAIN).split())


def searchable(name: str) -> str:
    """Return everything under which a name is found: Müller as muller and as mueller."""
    folded = fold(name)
    composed = unicodedata.normalize("NFC", name.casefold())
    german = fold(composed.translate(_GERMAN))
    return folded if german == folded else f"{folded} {german}"


def _is_shown(sign: str) -> bool:
    return sign in _JOINERS or unicodedata.category(sign)[0] != "C"
