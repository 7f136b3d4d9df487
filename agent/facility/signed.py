"""Documents that the hub signs for one station: plan, settings, share of the uplink, commands.

What is signed begins with its kind, so that one never passes for another.
"""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from agent.errors import RequestError
from agent.facility.keys import FacilityKey, is_signed
from agent.facility.membership import Membership


class HubDocument(BaseModel):
    """What the hub wants of one station.  A subclass says its kind, and how large it is."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    KIND: ClassVar[str]
    MOST_BYTES: ClassVar[int]

    site: str
    station: str

    def sealed(self, key: FacilityKey) -> bytes:
        """Return it with the hub's signature, as it is published and kept."""
        text = self.model_dump_json()
        signature = base64.b64encode(key.sign(self._signed(text))).decode()
        return json.dumps({"document": text, "signature": signature}).encode()

    @classmethod
    def unsealed(cls, body: bytes, *, site: str, station: str, hub: str) -> Self:
        """Return the document that `sealed` has made.

        Args:
            body: what was published.
            site, station: for whom it must be.
            hub: the public key that must have signed it.

        Raises:
            RequestError: it is not the hub's, another station's, or cannot be read.
        """
        try:
            told = json.loads(body[: cls.MOST_BYTES])
            text = str(told["document"])
            signature = base64.b64decode(str(told["signature"]), validate=True)
        except (ValueError, TypeError, KeyError, RecursionError):
            raise RequestError("it cannot be read") from None
        if not is_signed(cls._signed(text), signature, public=hub):
            raise RequestError("it is not signed by the hub")
        try:
            document = cls.model_validate_json(text)
        except ValidationError:
            raise RequestError("it cannot be read") from None
        if (document.site, document.station) != (site, station):
            raise RequestError("it is for another station")
        return document

    @classmethod
    def of_hub(cls, body: bytes, member: Membership) -> Self:
        """Return the document that a member's hub has sealed for it.

        Raises:
            RequestError: as `unsealed`.
        """
        return cls.unsealed(body, site=member.site, station=member.station, hub=member.hub)

    @classmethod
    def _signed(cls, text: str) -> bytes:
        return f"spotter {cls.KIND} 1\n{text}".encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderReport:
    """What became of a document of the hub's; the board shows it."""

    revision: int | None = None
    state: str = "none"  # none, applied, refused; of a plan also waiting, overruled
    detail: str | None = None

    def document(self) -> Mapping[str, object]:
        """Return it as a part of the state document."""
        return {"revision": self.revision, "state": self.state, "detail": self.detail}
