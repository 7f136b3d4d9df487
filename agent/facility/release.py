"""The version of Spotter that the hub wants of a station: verified, and kept for spotter-update.

spotter-update runs as root, with the system's Python: it reads the file that is kept here.  What
it says can hold an update back, or choose a version that the station's own ring offers.
"""

import os
from contextlib import suppress
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, model_validator

from agent.clock import iso_utc
from agent.disk.state_folder import StateFolder, open_plain, rewriting
from agent.errors import RequestError
from agent.facility.membership import RELEASE_FILE, Membership
from agent.facility.signed import HubDocument, OrderReport

_MODE = 0o640  # the group may read it; what others could write, spotter-update does not follow


class Release(BaseModel):
    """A version that is wanted, or that none is to be installed; empty: what the ring offers."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    version: Annotated[str, Field(pattern=r"^[0-9][A-Za-z0-9.+~-]{0,59}$")] | None = None
    hold: bool = False  # install none
    not_before: Annotated[float, Field(ge=0, le=1e11)] | None = None  # Unix time

    @model_validator(mode="after")
    def _says_one_thing(self) -> "Release":
        if self.version is None and self.not_before is not None:
            raise ValueError("a time needs a version")
        if self.hold and self.version is not None:
            raise ValueError("a version, or none at all")
        return self

    @property
    def words(self) -> str:
        """What it says, in a few words."""
        if self.hold:
            return "install no version"
        if self.version is None:
            return "what the ring offers"
        after = "" if self.not_before is None else f", not before {iso_utc(self.not_before)}"
        return f"{self.version}{after}"


class StationRelease(HubDocument):
    """What one station is to install."""

    KIND = "release"
    MOST_BYTES = 4096

    revision: Annotated[int, Field(ge=1, le=10**15)]
    release: Release


class ReleaseKeeper:
    """Keeps what the hub wants installed at a station."""

    def __init__(self, folder: StateFolder, member: Membership) -> None:
        """Continue with what is kept, if the hub's signature holds.

        Args:
            folder: where it is kept.
            member: what the station knows of its facility.
        """
        self._path = folder.root / RELEASE_FILE
        self._member = member
        self._seen: bytes | None = None
        self._kept: StationRelease | None = None
        self._report = OrderReport()
        with suppress(OSError, RequestError), open_plain(self._path) as file:
            kept = StationRelease.of_hub(file.read(StationRelease.MOST_BYTES), member)
            self._kept, self._report = kept, _applied(kept)

    def document(self) -> dict[str, object]:
        """Return what is wanted, and what became of it, as a part of the state document."""
        wanted = Release() if self._kept is None else self._kept.release
        return {**self._report.document(), **wanted.model_dump(mode="json")}

    def hear(self, body: bytes) -> None:
        """Keep what the hub wants, if it is the hub's and newer than what is kept.

        Raises:
            OSError: it cannot be kept; what was wanted before holds.
        """
        if body == self._seen and (self._report.state == "refused" or self._is_kept(body)):
            return
        try:
            told = StationRelease.of_hub(body, self._member)
        except RequestError as error:
            self._report = OrderReport(state="refused", detail=str(error))
            self._seen = body
            return
        is_newer = self._kept is None or told.revision > self._kept.revision
        if is_newer or (told == self._kept and not self._is_kept(body)):
            with rewriting(self._path, _MODE) as file:
                file.write(body)
            self._kept, self._report = told, _applied(told)
        self._seen = body

    def _is_kept(self, body: bytes) -> bool:
        """Tell whether the file is there, and such that an update accepts it."""
        with suppress(OSError, RequestError), open_plain(self._path) as file:
            found = os.fstat(file.fileno())
            is_own = found.st_uid == os.geteuid() and not found.st_mode & 0o022
            return is_own and file.read(StationRelease.MOST_BYTES) == body
        return False


def _applied(kept: StationRelease) -> OrderReport:
    return OrderReport(revision=kept.revision, state="applied")
