"""Taking people out of texts: user_ids become pseudonyms, names and file names go.

So does what looks like a person's or a key, for the API writes into its errors what it likes.

Pseudonyms are made with a word that is thrown away afterwards: the same athlete is the same one
all through an archive, and nobody else's.
"""

import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable, Mapping

from agent.redaction import HIDDEN, redacted

NAME = "NAME"
FILE = "FILE"
MAIL = "MAIL"
PHONE = "PHONE"
_TOKEN = re.compile(r"[\w@.+-]+")
_WORD = re.compile(r"[^\W_]+")
_SHORTEST_NAME = 2
_VIDEO = r"\.(?:mp4|mov|m4v|mkv|avi|webm|m?ts|m2ts|mpe?g|3gp)\b"
# A video's name is whatever the camera or a person called it; clip codes are Spotter's own.
_FILES = (
    re.compile(rf"(?i)(?<=')[^'\n]*{_VIDEO}(?=')"),
    re.compile(rf"(?i)(?<=\")[^\"\n]*{_VIDEO}(?=\")"),
    re.compile(rf"(?i)(?<=file=)[^\"\n]*?{_VIDEO}"),
    re.compile(rf"(?i)[^\s/'\"=:]+{_VIDEO}"),
)
_MAIL = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)*\.(?!service\b|timer\b|socket\b)[^\W\d_]{2,}")
_KEYS = (
    re.compile(r"(?i)(?<![\w-])()(?:sk|pk|rk|ak|key|tok|token|secret)[-_](?=[\w-]*\d)[\w-]{12,}"),
    re.compile(r"(?i)\b((?:key|token|secret|password) [\"']?)(?=[\w-]*\d)[\w-]{8,}"),
    re.compile(r"()\beyJ[\w-]+\.[\w-]+\.[\w-]*"),  # a JSON web token
    re.compile(r"(\bhttps?://[^\s?\"'<>]+\?)[^\s\"'<>]+"),  # a link's signature
)
_PHONES = (
    re.compile(r"(?<![\w.:/-])\+\d[\d ()/.-]{6,}\d"),  # +49 170 1234567
    re.compile(r"(?<![\w.:/-])0\d{2,5}[ /-]\d[\d ]{4,}\d"),  # 0170/1234567
    re.compile(r"(?<![\w.:/-])(?:\(\d{3}\) ?|\d{3}-)\d{3}-\d{4}(?![\w-])"),  # (555) 123-4567
)


class Scrubber:
    """Scrubs the texts of one archive."""

    def __init__(self, *, user_ids: Iterable[str], names: Iterable[str]) -> None:
        self._salt = secrets.token_bytes(16)
        self._ids = {user_id.casefold(): self._pseudonym(user_id) for user_id in user_ids}
        self._names = {
            word.casefold()
            for name in names
            for word in _WORD.findall(name)
            if len(word) >= _SHORTEST_NAME and not word.isdigit()
        }
        odd = [i for i in self._ids if _TOKEN.fullmatch(i) is None]  # with blanks and the like
        self._odd = sorted(odd, key=len, reverse=True)

    def scrub(self, text: str) -> str:
        """Return a text without secrets, people and file names."""
        text = redacted(text)
        for look in _KEYS:
            text = look.sub(rf"\g<1>{HIDDEN}", text)
        for look in _FILES:
            text = look.sub(FILE, text)
        for user_id in self._odd:
            text = re.sub(re.escape(user_id), self._ids[user_id], text, flags=re.IGNORECASE)
        for look in _PHONES:
            text = look.sub(PHONE, text)
        return _TOKEN.sub(self._replaced, text)

    def scrub_document(self, document: object) -> object:
        """Return a document of JSON with every text in it scrubbed; names of fields stay."""
        if isinstance(document, Mapping):
            return {name: self.scrub_document(value) for name, value in document.items()}
        if isinstance(document, list | tuple):
            return [self.scrub_document(value) for value in document]
        return self.scrub(document) if isinstance(document, str) else document

    def _replaced(self, found: "re.Match[str]") -> str:
        token = found[0]
        core = token.strip(".-+")  # the end of a sentence is no part of an id
        known = self._ids.get(token.casefold()) or self._ids.get(core.casefold())
        if known is not None:
            return known
        token = _MAIL.sub(MAIL, token)
        return _WORD.sub(lambda word: NAME if word[0].casefold() in self._names else word[0], token)

    def _pseudonym(self, user_id: str) -> str:
        digest = hmac.new(self._salt, user_id.encode(), hashlib.sha256).hexdigest()
        return f"athlete-{digest[:8]}"
