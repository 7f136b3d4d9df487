"""Commands that the hub gives a station, and waits for."""

import os
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from hashlib import sha256

from pydantic import ValidationError

from agent.clock import Now
from agent.errors import BusyError, NotifyError, RequestError
from agent.facility.broker import HubConnection
from agent.facility.membership import Subjects
from agent.facility.remote import (
    LASTS_S,
    RemoteCommand,
    RemoteRequest,
    RemoteState,
)
from agent.facility.work import PART_BYTES, WorkRefusedError, granted, read_request
from agent.hub.folder import HubFolder
from agent.hub.server import hub_access
from agent.hub.settings import SiteSettings

_ANSWERS_WITHIN_S = 15.0  # a station that is connected
_AGAIN_S = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteResult:
    """What came of a command."""

    code: int  # of its process
    content: bytes  # what it printed, or wrote
    complaint: str


class StationCommander:
    """Gives commands to the stations of a site."""

    def __init__(self, site: SiteSettings, folder: HubFolder, *, now: Now) -> None:
        self._site = site.site
        self._folder = folder
        self._key = folder.key()
        self._access = hub_access(site.listen, folder, self._key)
        self._now = now

    def carry_out(
        self,
        station: str,
        command: RemoteCommand,
        arguments: Sequence[str] = (),
        *,
        waiting: Callable[[float], None] = lambda _for_s: None,
    ) -> RemoteResult:
        """Let a station carry out a command, and return what came of it.

        Args:
            station: its id.
            command: what it is to do.
            arguments: ids, for retry.
            waiting: is called again and again with how long it has taken, in seconds.

        Raises:
            RequestError: there is no such station, or it refuses.
            NotifyError: the broker or the station does not answer.
            BusyError: the command does not end.
        """
        self._folder.register().station(station)
        subject = f"{Subjects(site=self._site, station=station).do}.{command}"
        try:
            asked = RemoteRequest(
                site=self._site,
                station=station,
                id=os.urandom(16).hex(),
                command=command,
                arguments=tuple(arguments),
                issued_at=self._now().utc_s,
            )
        except ValidationError:
            raise RequestError("an id is like c12 or e7; at most 20 of them") from None
        began_s = time.monotonic()
        with closing(HubConnection(self._access)) as broker:
            broker.open()
            while True:
                state = self._state(broker, subject, asked)
                if state.state == "done":
                    break
                waited_s = time.monotonic() - began_s
                if waited_s > LASTS_S + _ANSWERS_WITHIN_S:
                    raise BusyError(f"{command} at {station} does not end", hint="try again")
                waiting(waited_s)
                time.sleep(_AGAIN_S)
            parts = range(-(-state.size // PART_BYTES))
            content = b"".join(
                self._ask(broker, subject, asked.model_copy(update={"part": part}))
                for part in parts
            )
        if sha256(content).hexdigest() != state.sha256:
            raise BusyError(f"the result of {station} is damaged", hint="try again")
        return RemoteResult(code=state.code, content=content, complaint=state.complaint)

    def _state(self, broker: HubConnection, subject: str, asked: RemoteRequest) -> RemoteState:
        try:
            state: RemoteState = read_request(self._ask(broker, subject, asked), RemoteState)[0]
        except ValidationError:
            raise RequestError(f"the answer of {asked.station} cannot be read") from None
        return state

    def _ask(self, broker: HubConnection, subject: str, asked: RemoteRequest) -> bytes:
        """Return a station's answer; asking again does nothing again.

        Raises:
            RequestError: it refuses.
            NotifyError: it does not answer.
        """
        body, latest_s = asked.sealed(self._key), time.monotonic() + _ANSWERS_WITHIN_S
        while True:
            try:
                if not broker.is_open:
                    broker.open()
                return granted(broker.ask(subject, body))
            except WorkRefusedError as error:
                raise RequestError(f"{asked.station}: {error}") from None
            except NotifyError as error:
                if time.monotonic() > latest_s:
                    raise NotifyError(
                        f"{asked.station} does not answer",
                        hint="spotter hub status shows whether it is connected",
                    ) from error
            time.sleep(_AGAIN_S)
