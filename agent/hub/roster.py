"""The hub's own athletes: names, groups and consent, from a CSV file.  They never leave the site.

Stations know athletes by their user ids; names are put beside these where a page is drawn.
"""

import csv
import io
import json
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from agent.disk.state_folder import open_plain, rewriting
from agent.errors import ConfigError, RequestError
from agent.text import printable

_MOST_ATHLETES = 20_000
_MOST_BYTES = 1 << 24

_Group = Annotated[str, Field(min_length=1, max_length=60)]


class HubAthlete(BaseModel):
    """An athlete of the site."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    user_id: str = Field(min_length=1, max_length=128, pattern=r"^\S+$")
    name: str = Field(min_length=1, max_length=80)
    groups: tuple[_Group, ...] = Field((), max_length=20)
    consent: Literal["yes", "no", "unknown"] = "unknown"


_ALL = TypeAdapter(tuple[HubAthlete, ...])


class HubRoster:
    """The athletes, as the file has them; read again when it changes."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[int, int] | None = None
        self._athletes: Mapping[str, HubAthlete] = {}

    def athletes(self) -> Mapping[str, HubAthlete]:
        """Return all athletes by user id.

        Raises:
            ConfigError: the file is damaged.
        """
        try:
            with open_plain(self._path) as file:
                found = self._path.stat()
                seen = found.st_ino, found.st_mtime_ns
                if seen != self._seen:
                    told = _ALL.validate_json(file.read(_MOST_BYTES))
                    self._athletes, self._seen = {one.user_id: one for one in told}, seen
        except FileNotFoundError:
            self._athletes, self._seen = {}, None
        except OSError as error:
            raise ConfigError(f"{self._path}: {error.strerror}", hint="use sudo") from None
        except ValidationError:
            raise ConfigError(
                f"{self._path} is damaged", hint="import it again: spotter hub roster FILE"
            ) from None
        return self._athletes

    def refuse_without_consent(self, user_ids: Iterable[str]) -> None:
        """See that nobody is planned who has not consented to be filmed.

        Raises:
            RequestError: naming those who have not.
        """
        known = self.athletes()
        refused = sorted({one for one in user_ids if one in known and known[one].consent == "no"})
        if refused:
            raise RequestError(
                f"no consent to be filmed: {', '.join(refused)}",
                hint="spotter hub roster FILE, with consent yes",
            )

    def change(self, athletes: Iterable[HubAthlete], *, replace: bool) -> int:
        """Take athletes over, in place of those with the same ids, or of all; return how many are
        there then.

        Raises:
            ConfigError: the file is damaged, and is not to be replaced.
            RequestError: they are too many.
            OSError: it cannot be written.
        """
        before = {} if replace else self.athletes()
        merged = {**before, **{one.user_id: one for one in athletes}}
        if len(merged) > _MOST_ATHLETES:
            raise RequestError(f"more than {_MOST_ATHLETES} athletes")
        self._write(merged)
        return len(merged)

    def remove(self, user_id: str) -> None:
        """Forget an athlete.

        Raises:
            RequestError: there is no such athlete.
        """
        known = dict(self.athletes())
        if known.pop(user_id, None) is None:
            raise RequestError(f"no athlete {user_id!r}", hint="spotter hub roster lists them")
        self._write(known)

    def _write(self, athletes: Mapping[str, HubAthlete]) -> None:
        document = [one.model_dump(mode="json") for _, one in sorted(athletes.items())]
        with rewriting(self._path, 0o600) as file:
            file.write(json.dumps(document, indent=1, ensure_ascii=False).encode())


def read_roster_csv(text: str) -> list[HubAthlete]:
    """Return the athletes of a CSV file: all of it, or nothing.

    Args:
        text: with the columns user_id, name, and perhaps groups (separated by ;) and consent.

    Raises:
        RequestError: naming the line that cannot be read.
    """
    found: dict[str, HubAthlete] = {}
    for line, row in csv_rows(text, needed=("user_id", "name"), others=("groups", "consent")):
        if len(found) >= _MOST_ATHLETES:
            raise RequestError(f"more than {_MOST_ATHLETES} athletes")
        try:
            athlete = _athlete_of(row)
        except (ValueError, TypeError, AttributeError):
            raise unreadable(line, row) from None
        if athlete.user_id in found:
            raise RequestError(f"line {line}: {athlete.user_id} is there twice")
        found[athlete.user_id] = athlete
    return list(found.values())


def csv_rows(
    text: str, *, needed: tuple[str, ...], others: tuple[str, ...]
) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield the lines of a CSV file with their numbers, each by the names of its columns.

    Args:
        text: the file's.
        needed: columns that it must have.
        others: columns that it may have.

    Raises:
        RequestError: it is not such a file.
    """
    reader = csv.DictReader(io.StringIO(text.lstrip("\ufeff")), restval="")
    try:
        columns = [name.strip() for name in reader.fieldnames or ()]
        known = {*needed, *others}
        if not set(needed) <= set(columns) <= known or len(set(columns)) != len(columns):
            raise RequestError(
                f"the first line must name the columns {','.join(needed)}, "
                f"and perhaps {','.join(others)}",
                hint="separate columns by a comma, not by a semicolon or tab",
            )
        reader.fieldnames = columns
        for row in reader:
            if None in row:  # more values than columns
                raise unreadable(reader.line_num, row)
            yield reader.line_num, row
    except csv.Error as error:
        raise RequestError(f"line {reader.line_num + 1} cannot be read: {error}") from None


def unreadable(line: int, row: Mapping[Any, Any]) -> RequestError:
    """Return what says that a line of a CSV file cannot be read, with the line itself."""
    values = [*(value for name, value in row.items() if name), *row.get(None, ())]
    return RequestError(f"line {line} cannot be read: {printable(','.join(values), 200)}")


def _athlete_of(row: Mapping[str, str]) -> HubAthlete:
    """Return the athlete of a line.

    Raises:
        ValueError: it cannot be read.
    """
    given = {name: _clean(value or "") for name, value in row.items()}
    groups = [one.strip() for one in given.get("groups", "").split(";")]
    return HubAthlete.model_validate(
        {
            "user_id": given["user_id"],
            "name": given["name"],
            "groups": [one for one in groups if one],
            "consent": given.get("consent", "").lower() or "unknown",
        }
    )


def _clean(text: str) -> str:
    if any(unicodedata.category(sign).startswith("C") for sign in text):
        raise ValueError("control characters")
    return " ".join(unicodedata.normalize("NFC", text).split())
