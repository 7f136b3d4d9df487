"""The settings that the hub wants of a station: verified, tried, kept, and taken over by a reload.

What the station cannot do is refused as a whole: the fragment before holds, and the state says why.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Annotated, Any

from pydantic import Field

from agent.disk.state_folder import StateFolder, open_plain, rewriting
from agent.errors import AgentError, RequestError
from agent.facility.membership import Membership
from agent.facility.signed import HubDocument, OrderReport
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
