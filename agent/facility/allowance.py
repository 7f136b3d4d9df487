"""What the hub lets a station have of the site's uplink.

An allowance is signed, short-lived, and repeated by the hub: it is not kept, but for what holds
while nothing is heard of the hub.
"""

import json
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Annotated

from pydantic import Field

from agent.bandwidth_schedule import UNLIMITED, UplinkShare
from agent.disk.state_folder import StateFolder, open_plain, rewriting
from agent.facility.membership import ALLOWANCE_FILE, Membership
from agent.facility.signed import HubDocument

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
