"""The page's translations: `make messages` brings the catalogues up to date with the code.

Every message is looked for in the code and the templates and put into each language's `.po`; what
is new waits there for its translation.  English is the language of the code: its catalogue is
filled by itself, and is what a new language is copied from.
"""

import io
from collections.abc import Iterator
from pathlib import Path

from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

from agent.settings.model import LOCALES
from tests.conftest import REPOSITORY

SOURCE = "en"
AGENT = REPOSITORY / "agent"
WEB = AGENT / "web"
_METHODS = [("**.py", "python"), ("templates/**.html", "jinja2")]
_OPTIONS = {"templates/**.html": {"silent": "false"}}
_KEYWORDS: dict[str, tuple[int, ...] | None] = {
    "_": None,
    "N_": None,
    "gettext": None,
    "translated": None,
    "ngettext": (1, 2),
}
_MARKED: dict[str, tuple[int, ...] | None] = {"gettext_noop": None, "ngettext_noop": (1, 2)}
_HEADERS = ("Language:", "Plural-Forms:", "MIME-Version:", "Content-Type:", "Content-Transfer-")
_COMMENT = """\
# The page of Spotter in a language of its own.
# To add one: copy en/LC_MESSAGES/spotter.po to a folder named after it, translate every msgstr,
# and run `make messages`."""


class Translations(Catalog):
    """A catalogue without the headers that change by themselves: dates, and Babel's version."""

    def __iter__(self) -> Iterator[Message]:
        """Yield the header, then every message."""
        header, *messages = super().__iter__()
        lines = str(header.string).splitlines()
        header.string = "\n".join(line for line in lines if line.startswith(_HEADERS)) + "\n"
        yield header
        yield from messages


def catalogues() -> dict[str, Path]:
    """Return the `.po` files, by language."""
    return {path.parts[-3]: path for path in sorted(LOCALES.glob("*/LC_MESSAGES/*.po"))}


def read(path: Path) -> Translations:
    """Return a catalogue as it is in its file."""
    with path.open("rb") as file:
        content = read_po(file, abort_invalid=True)
    catalogue = Translations(locale=path.parts[-3], header_comment=_COMMENT, fuzzy=False)
    for message in content:
        if message.id:
            catalogue[message.id] = message
    return catalogue


def extracted() -> Catalog:
    """Return every message of the code and the templates, without translations."""
    template = Catalog()
    found = extract_from_dir(
        WEB,
        method_map=_METHODS,
        options_map=_OPTIONS,
        keywords=_KEYWORDS,
        comment_tags=("Translators:",),
        strip_comment_tags=True,
    )
    marked = extract_from_dir(AGENT, method_map=_METHODS[:1], keywords=_MARKED)
    for _, _, message, comments, context in (*found, *marked):
        template.add(message, None, auto_comments=comments, context=context)
    return template


def compiled(catalogue: Translations) -> bytes:
    """Return a catalogue as programs read it; what is not translated stays out."""
    content = io.BytesIO()
    write_mo(content, catalogue)
    return content.getvalue()


def updated(catalogue: Translations) -> Translations:
    """Return a catalogue with the messages that the code has now, and no others."""
    fresh = Translations(locale=catalogue.locale, header_comment=_COMMENT, fuzzy=False)
    for message in extracted():
        if not message.id:
            continue
        known = catalogue.get(message.id)
        string = None if known is None else known.string
        if str(catalogue.locale) == SOURCE:
            string = message.id
        fresh.add(message.id, string, auto_comments=message.auto_comments)
    return fresh


def written(catalogue: Translations) -> bytes:
    """Return a catalogue as its `.po` file."""
    content = io.BytesIO()
    write_po(content, catalogue, width=100, sort_output=True, no_location=True)
    return content.getvalue()


def main() -> None:
    """Write every catalogue, and compile it."""
    for path in catalogues().values():
        catalogue = updated(read(path))
        path.write_bytes(written(catalogue))
        path.with_suffix(".mo").write_bytes(compiled(catalogue))


if __name__ == "__main__":
    main()
