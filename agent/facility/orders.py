"""What the hub wants of a station beside its plan: settings, share of the uplink, and version.

Settings that the station cannot take over are refused as a whole: those before hold, and the state
says why.  A share of the uplink is short-lived and repeated by the hub; only what holds while
nothing is heard of the hub is kept.  The version is kept for spotter-update, which runs as root,
with the system's Python: what it says can hold an update back, or choose a version that the
station's own ring offers.
"""

import json
import os
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from agent.bandwidth_schedule import UNLIMITED, UplinkShare
from agent.clock import iso_utc
from agent.disk.state_folder import StateFolder, open_plain, rewriting
from agent.errors import AgentError, RequestError
from agent.facility.keys import HubDocument, OrderReport
from agent.facility.membership import ALLOWANCE_FILE, RELEASE_FILE, Membership
from agent.settings.load import HUB_FILE, check_hub_settings

_MODE = 0o640  # the group may read it, and not write it: see `read_hub_settings`

Tables = Mapping[str, Mapping[str, Any]]  # settings by table and key


class SettingsFragment(HubDocument):
    """What the hub sets at one station; everything else is the station's own."""

    KIND = "settings"
    MOST_BYTES = 65_536

    revision: Annotated[int, Field(ge=1, le=10**15)]
    tables: dict[str, dict[str, Any]]


class SettingsKeeper:
    """Keeps the hub's settings of a station, and has them taken over."""

    def __init__(
        self,
        folder: StateFolder,
        member: Membership,
        *,
        reload: Callable[[], None],
        check: Callable[[Tables], None] = check_hub_settings,
    ) -> None:
        """Go on with the settings that are kept.

        Args:
            folder: where they are kept.
            member: what the station knows of its facility.
            reload: has the daemon read its settings again.
            check: raises an AgentError where the station cannot do what they say.
        """
        self._path = folder.root / HUB_FILE
        self._member = member
        self._reload = reload
        self._check = check
        self._seen: bytes | None = None
        self._revision = 0  # of those that are kept
        self.report = OrderReport()
        with suppress(OSError, RequestError), open_plain(self._path) as file:
            kept = SettingsFragment.of_hub(file.read(SettingsFragment.MOST_BYTES), member)
            self._revision = kept.revision
            self.report = OrderReport(revision=kept.revision, state="applied")

    def hear(self, body: bytes) -> None:
        """Take settings over, if they are the hub's, newer than those that are kept, and possible.

        Raises:
            OSError: they cannot be kept; those before hold.
        """
        if body == self._seen:
            return
        self._seen = body
        try:
            told = SettingsFragment.of_hub(body, self._member)
        except RequestError as error:
            self._refuse(None, str(error))
            return
        if told.revision <= self._revision:
            return
        try:
            self._check(told.tables)
        except AgentError as error:
            self._refuse(told.revision, " ".join(str(error).split()))
            return
        with rewriting(self._path, _MODE) as file:
            file.write(body)
        self._revision = told.revision
        self.report = OrderReport(revision=told.revision, state="applied")
        self._reload()

    def _refuse(self, revision: int | None, why: str) -> None:
        self.report = OrderReport(revision=revision, state="refused", detail=why[:300])


HOLDS_S = 30.0
LEAST_BYTES_S = 4000.0  # nobody, not even the hub, stops a station's uploads altogether
MOST_BYTES_S = 1e12  # no limit

_Rate = Annotated[float, Field(ge=LEAST_BYTES_S, le=MOST_BYTES_S)]  # bytes per second


class Allowance(HubDocument):
    """How fast one station may upload."""

    KIND = "allowance"
    MOST_BYTES = 4096

    issued_at: float  # Unix time, by the hub's clock
    rate_bytes_s: _Rate
    alone_bytes_s: _Rate  # while the hub is away


class AllowanceKeeper:
    """Grants the station what the hub's allowances say."""

    def __init__(
        self,
        folder: StateFolder,
        member: Membership,
        share: UplinkShare,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Grant what holds without the hub, as the hub said it last.

        Args:
            folder: of the station.
            member: what the station knows of its facility.
            share: what is granted.
            monotonic: the clock of the allowances.
        """
        self._path = folder.root / ALLOWANCE_FILE
        self._member = member
        self._share = share
        self._monotonic = monotonic
        self._seen: bytes | None = None
        self._alone_bytes_s = self._kept()
        self._grant_alone()

    def document(self) -> int | None:
        """Return what holds now as a part of the state document; None: no limit."""
        rate = self._share.rate(self._monotonic())
        return None if rate == UNLIMITED else round(rate)

    def hear(self, body: bytes | None) -> None:
        """Take over an allowance; None: the hub shares nothing out.

        Raises:
            RequestError: it is not the hub's, another station's, or cannot be read.
            OSError: what holds without the hub cannot be kept.
        """
        if body == self._seen:
            return
        self._seen = body
        if body is None:
            self._keep(UNLIMITED)
            self._grant_alone()
            return
        told = Allowance.of_hub(body, self._member)
        self._share.grant(
            told.rate_bytes_s,
            until_s=self._monotonic() + HOLDS_S,
            then_bytes_s=told.alone_bytes_s,
        )
        self._keep(told.alone_bytes_s)

    def _grant_alone(self) -> None:
        self._share.grant(UNLIMITED, until_s=float("-inf"), then_bytes_s=self._alone_bytes_s)

    def _kept(self) -> float:
        with suppress(OSError, ValueError, TypeError, KeyError), open_plain(self._path) as file:
            kept = json.loads(file.read(Allowance.MOST_BYTES))
            return max(LEAST_BYTES_S, float(kept["alone_bytes_s"]))
        return UNLIMITED

    def _keep(self, alone_bytes_s: float) -> None:
        if alone_bytes_s == self._alone_bytes_s:
            return
        self._alone_bytes_s = alone_bytes_s
        if alone_bytes_s == UNLIMITED:
            self._path.unlink(missing_ok=True)
            return
        with rewriting(self._path) as file:
            file.write(json.dumps({"alone_bytes_s": alone_bytes_s}).encode())


_READABLE = 0o640  # the group may read it; what others could write, spotter-update does not follow


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
            with rewriting(self._path, _READABLE) as file:
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
