"""Taking people out of texts: user_ids become pseudonyms, names and file names go.

Pseudonyms are made with a word that is thrown away afterwards: the same athlete is the same one
all through an archive, and nobody else's.
"""

import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable, Mapping

from agent.redaction import redacted

NAME = "NAME"
FILE = "FILE"
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
        for look in _FILES:
            text = look.sub(FILE, text)
        for user_id in self._odd:
            text = re.sub(re.escape(user_id), self._ids[user_id], text, flags=re.IGNORECASE)
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
        return _WORD.sub(lambda word: NAME if word[0].casefold() in self._names else word[0], token)

    def _pseudonym(self, user_id: str) -> str:
        digest = hmac.new(self._salt, user_id.encode(), hashlib.sha256).hexdigest()
        return f"athlete-{digest[:8]}"
