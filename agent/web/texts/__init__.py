"""Every word of the page, in every language it speaks."""

from collections.abc import Mapping
from typing import Literal

from agent.web.texts.english import ENGLISH
from agent.web.texts.german import GERMAN

Language = Literal["en", "de"]
LANGUAGES: dict[Language, Mapping[str, str]] = {"en": ENGLISH, "de": GERMAN}


class Texts:
    """The words of one language."""

    def __init__(self, language: Language) -> None:
        self.language = language
        self._words = LANGUAGES[language]

    def say(self, key: str, **values: object) -> str:
        """Return a text with its gaps filled."""
        return self._words[key].format(**values)

    def knows(self, key: str) -> bool:
        """Tell whether there is a text by this key."""
        return key in self._words

    def number(self, value: float, *, digits: int = 1) -> str:
        """Return a number as it is written in this language, without idle zeros."""
        text = f"{value:.{digits}f}"
        if "." in text:
            text = text.rstrip("0").rstrip(".")
        return text.replace(".", ",") if self.language == "de" else text

    def duration(self, seconds: float) -> str:
        """Return a length of time as people say it: 45 s, 12 min, 3 h, 2 days."""
        for length_s, unit in ((86400, "days"), (3600, "h"), (60, "min")):
            if seconds >= length_s:
                whole = round(seconds / length_s)
                return self.say(f"unit_{unit}" if whole != 1 else f"unit_{unit}_one", n=whole)
        return self.say("unit_s", n=max(0, round(seconds)))
