"""The athletes of the account, read page by page within fixed limits."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlencode

from agent.api import contract
from agent.api.responses import ApiResponse, lane_fault, not_our_api

PAGES_PATH = contract.path_of("find_users")
WHOLE_PATH = contract.path_of("users")
MOST_USERS = 20_000
_PAGE = 100  # asked for; a host may give fewer at a time
_MOST_PAGES = MOST_USERS  # one at a time is the least a page can bring

# What the API's forces and powers are computed from; whether they are there is read, no value is.
BODY_MEASURES = ("weight", "height", "leg_length", "ycom")

Ask = Callable[[str], ApiResponse]


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """One athlete as the account names them; nothing else of a person is read."""

    user_id: str
    name: str = field(repr=False)
    lacks: tuple[str, ...] = ()  # body measures that the account does not have, of BODY_MEASURES


@dataclass(frozen=True, slots=True, kw_only=True)
class Users:
    """What the account said."""

    users: Sequence[User]
    complete: bool  # whether these are all


@dataclass(frozen=True, slots=True, kw_only=True)
class _Page:
    users: Sequence[User]
    last_id: str | None


def fetch_users(ask: Ask, *, now_s: float) -> Users:
    """Return the athletes of the account.

    Args:
        ask: asks for a path and returns the answer.
        now_s: Unix time, for a Retry-After given as a date.

    Raises:
        ApiUnavailableError: no answer, or one that is not about athletes.
    """
    paged = _fetch_pages(ask, now_s=now_s)
    if paged.complete:
        return paged
    answer = ask(WHOLE_PATH)
    if answer.status != 200:
        if paged.users:
            return paged
        raise lane_fault(answer, now_s=now_s)
    users = _unique(_read_page(answer).users)
    if len(users) < len(paged.users):
        return paged
    return Users(users=users[:MOST_USERS], complete=0 < len(users) <= MOST_USERS)


def _fetch_pages(ask: Ask, *, now_s: float) -> Users:
    """Follow the pages to their end, or to where they go round in circles."""
    found: dict[str, User] = {}
    after: str | None = None
    for _ in range(_MOST_PAGES):
        query = {"limit": str(_PAGE)} | ({} if after is None else {"start_after_id": after})
        answer = ask(f"{PAGES_PATH}?{urlencode(query)}")
        if 400 <= answer.status < 500 and answer.error_words() is not None:
            if answer.status in {401, 403}:
                raise lane_fault(answer, now_s=now_s)
            ended = answer.status == 404 and after is not None  # nobody comes after the last
            return Users(users=list(found.values()), complete=ended)
        if answer.status != 200:
            raise lane_fault(answer, now_s=now_s)
        page = _read_page(answer)
        if not page.users:
            return Users(users=list(found.values()), complete=bool(found))
        before = len(found)
        for user in page.users:
            found.setdefault(user.user_id, user)
        after = page.last_id or page.users[-1].user_id
        if len(found) == before or len(found) > MOST_USERS:
            break
    return Users(users=list(found.values())[:MOST_USERS], complete=False)


def _read_page(answer: ApiResponse) -> _Page:
    """Return the athletes in an answer; one that makes no sense is passed over."""
    document = answer.json()
    listed = document.get("users") if isinstance(document, Mapping) else None
    if not isinstance(document, Mapping) or not isinstance(listed, list):
        raise not_our_api("the list of athletes")
    last_id = document.get("last_uid")
    users = [user for entry in listed if (user := _read_user(entry)) is not None]
    return _Page(users=users, last_id=last_id if isinstance(last_id, str) and last_id else None)


def _read_user(entry: object) -> User | None:
    if not isinstance(entry, Mapping):
        return None
    user_id, name = entry.get("user_uid"), entry.get("display_name")
    if not isinstance(user_id, str) or not user_id:
        return None
    lacks = tuple(measure for measure in BODY_MEASURES if not _is_measured(entry.get(measure)))
    return User(user_id=user_id, name=name if isinstance(name, str) else "", lacks=lacks)


def _is_measured(value: object) -> bool:
    """Tell a measure from what stands for none: nothing, zero, or a text that is no number."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return False
    try:
        return 0 < float(value) < math.inf
    except (ValueError, OverflowError):
        return False


def _unique(users: Sequence[User]) -> list[User]:
    found: dict[str, User] = {}
    for user in users:
        found.setdefault(user.user_id, user)
    return list(found.values())
