"""The documents that the API answers with, read leniently: it may add fields at any time."""

from datetime import datetime, timedelta
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from agent.api.answers import Answer
from agent.errors import LaneError

Document = TypeVar("Document", bound=BaseModel)

_ADMIN_ROLES = frozenset({"admin", "subadmin"})
_WIDEST_ZONE = timedelta(hours=14)  # the list's times carry no zone


class _Lenient(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class Account(_Lenient):
    """Whose key it is: the answer of organization-status."""

    uid: str
    role: str

    @property
    def acts_for_others(self) -> bool:
        """Whether this key may send for athletes other than its owner."""
        return self.role.lower().replace("-", "").replace("_", "").replace(" ", "") in _ADMIN_ROLES


class ListedAt(_Lenient):
    """When a session was made, by the server's wall clock, in no known zone."""

    date: str
    time: str


class ListedSession(_Lenient):
    """One session in the list."""

    title: str = ""
    created_at: ListedAt | None = None

    def is_surely_older_than(self, moment: datetime) -> bool:
        """Tell whether the session was made before `moment` (UTC) in whatever zone it is told."""
        if self.created_at is None:
            return False
        try:
            told = datetime.strptime(  # noqa: DTZ007  # the API tells no zone: all are allowed for
                f"{self.created_at.date} {self.created_at.time}", "%d/%m/%Y %I:%M %p"
            )
        except ValueError:
            return False
        return told + _WIDEST_ZONE < moment.replace(tzinfo=None)


class SessionList(_Lenient):
    """The list of sessions."""

    sessions: dict[str, ListedSession] = Field(default_factory=dict)


def read_account(answer: Answer) -> Account:
    """Return the account that organization-status names.

    Raises:
        LaneError: the answer is not one of the API's.
    """
    return _read(Account, answer, "organization-status")


def read_session_list(answer: Answer) -> SessionList:
    """Return the sessions that the list names.

    Raises:
        LaneError: the answer is not one of the API's.
    """
    return _read(SessionList, answer, "the session list")


def _read(model: type[Document], answer: Answer, what: str) -> Document:
    try:
        return model.model_validate_json(answer.body)
    except ValidationError:
        raise LaneError(
            f"{what} is not an answer of the API: a captive portal or a wrong base_url?",
            reason="not_our_api",
        ) from None
