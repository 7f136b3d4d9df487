"""The documents that the API answers with, read leniently: it may add fields at any time."""

from pydantic import BaseModel, ConfigDict, ValidationError, field_validator

from agent.api.answers import Answer
from agent.api.contract import PLANS_WITH_API
from agent.api.texts import printable
from agent.errors import LaneError

_MOST_PLAN = 60  # signs of a plan's name
_MOST_SESSIONS = 1 << 53
_ADMIN_ROLES = frozenset({"admin", "subadmin"})


class _Lenient(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class Account(_Lenient):
    """Whose key it is: the answer of organization-status."""

    uid: str
    role: str
    payment_type: str | None = None
    session_number: int | None = None

    @field_validator("payment_type", mode="before")
    @classmethod
    def _plain_plan(cls, told: object) -> str | None:
        return printable(told, _MOST_PLAN) if isinstance(told, str) else None

    @field_validator("session_number", mode="before")
    @classmethod
    def _whole_number(cls, told: object) -> int | None:
        is_whole = isinstance(told, int) and not isinstance(told, bool)
        return told if is_whole and 0 <= told < _MOST_SESSIONS else None  # type: ignore[operator, return-value]  # whole, as was seen

    @property
    def has_api_access(self) -> bool:
        """Whether its plan has access to the API, as far as its name is known."""
        plan = (self.payment_type or "").strip().lower()
        return not plan or plan in PLANS_WITH_API

    @property
    def acts_for_others(self) -> bool:
        """Whether this key may send for athletes other than its owner."""
        return self.role.lower().replace("-", "").replace("_", "").replace(" ", "") in _ADMIN_ROLES


def read_account(answer: Answer) -> Account:
    """Return the account that organization-status names.

    Raises:
        LaneError: the answer is not one of the API's.
    """
    try:
        return Account.model_validate_json(answer.body)
    except ValidationError:
        raise not_our_api("organization-status") from None


def not_our_api(what: str) -> LaneError:
    """Return the fault of a host that answers something else than the API would."""
    return LaneError(
        f"{what} is not an answer of the API: a captive portal or a wrong base_url?",
        reason="not_our_api",
    )
