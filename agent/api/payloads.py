"""The documents that the API answers with, read leniently: it may add fields at any time."""

from pydantic import BaseModel, ConfigDict, ValidationError

from agent.api.answers import Answer
from agent.errors import LaneError

_ADMIN_ROLES = frozenset({"admin", "subadmin"})


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
