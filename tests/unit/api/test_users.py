"""The account's athletes, page by page, from hosts of every kind."""

import json
from collections.abc import Callable
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.api.documents import BODY_MEASURES, MOST_USERS, WHOLE_PATH, fetch_users
from agent.api.responses import ApiResponse
from agent.errors import ApiUnavailableError

Host = Callable[[str, str | None], object]  # path and start_after_id -> document


def asking(host: Host, *, most: int = 50) -> Callable[[str], ApiResponse]:
    """Ask a host; one that is asked more than `most` times was not left in peace."""
    asked = []

    def ask(path: str) -> ApiResponse:
        asked.append(path)
        assert len(asked) <= most, "it does not come to an end"
        parts = urlsplit(path)
        after = parse_qs(parts.query).get("start_after_id", [None])[0]
        told = host(parts.path, after)
        if isinstance(told, ApiResponse):
            return told
        return ApiResponse(status=200, body=json.dumps(told).encode())

    return ask


def users(*ids: object) -> list[dict[str, object]]:
    return [
        {"user_uid": user_id, "display_name": f"N {user_id}", "email": "x@y"} for user_id in ids
    ]


def page(*ids: object, last: object = None) -> dict[str, object]:
    return {"users": users(*ids), "last_uid": last}


def refusal(status: int) -> ApiResponse:
    return ApiResponse(status=status, body=b'{"error": "no"}')


def ids_of(host: Host, *, most: int = 50) -> tuple[list[str], bool]:
    found = fetch_users(asking(host, most=most), now_s=0.0)
    return [user.user_id for user in found.users], found.complete


def paged(count: int, size: int) -> Host:
    everybody = [f"u{number}" for number in range(count)]

    def host(_path: str, after: str | None) -> object:
        start = everybody.index(after) + 1 if after else 0
        shown = everybody[start : start + size]
        return page(*shown, last=shown[-1] if shown else None)

    return host


@given(st.integers(1, 40), st.integers(1, 12))
def test_all_pages_are_followed_whatever_their_size(count: int, size: int) -> None:
    found, complete = ids_of(paged(count, size))

    assert (found, complete) == ([f"u{number}" for number in range(count)], True)


def test_an_end_told_as_not_found_is_an_end() -> None:
    host = lambda _path, after: page("a", "b") if after is None else refusal(404)  # noqa: E731  # a host in one line

    assert ids_of(host) == (["a", "b"], True)


def test_pages_that_go_round_in_circles_come_to_an_end_and_the_whole_list_is_asked_for() -> None:
    def host(path: str, after: str | None) -> object:
        if path == WHOLE_PATH:
            return page("a", "b", "c")
        return page("a", "b", last="b") if after != "b" else page("b", "a", last="a")

    assert ids_of(host) == (["a", "b", "c"], True)
    stuck = lambda path, _after: refusal(500) if path == WHOLE_PATH else page("a")  # noqa: E731  # a host in one line
    assert ids_of(stuck) == (["a"], False)


def test_a_host_without_pages_gives_the_whole_list() -> None:
    host = lambda path, _after: page("a", "b") if path == WHOLE_PATH else refusal(404)  # noqa: E731  # a host in one line

    assert ids_of(host) == (["a", "b"], True)


def test_nobody_at_all_is_not_believed_to_be_everybody() -> None:
    assert ids_of(lambda _path, _after: page()) == ([], False)


def test_what_makes_no_sense_is_passed_over() -> None:
    odd = [*users("a", "", None, 7, ["x"], "a"), None, "text", {"display_name": "no id"}]
    host = lambda _path, after: {"users": [] if after else odd}  # noqa: E731  # a host in one line

    assert ids_of(host) == (["a"], True)


def test_an_endless_account_is_bounded() -> None:
    def host(_path: str, after: str | None) -> object:
        start = int(after or 0)
        return page(*(str(number) for number in range(start + 1, start + 5001)))

    found, complete = ids_of(host)
    assert (len(found), complete) == (MOST_USERS, False)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (refusal(401), "key"),
        (refusal(403), "account"),
        (refusal(500), "server"),
        (ApiResponse(status=200, body=b"<html>"), "not_our_api"),
        (ApiResponse(status=200, body=b'{"users": {}}'), "not_our_api"),
        (ApiResponse(status=302, body=b""), "not_our_api"),
    ],
)
def test_what_is_no_roster_is_the_lanes_fault(answer: ApiResponse, reason: str) -> None:
    with pytest.raises(ApiUnavailableError) as fault:
        ids_of(lambda _path, _after: answer)
    assert fault.value.reason == reason


@pytest.mark.parametrize("last", ["half \ud800", "\udc00", None])
def test_half_a_character_in_an_id_costs_no_other_athlete(last: str | None) -> None:
    pages = {None: users("a", "\ud800", "b"), "b": users("c", "d\udfff")}

    def host(_path: str, after: str | None) -> object:
        return {"users": pages.get(after, []), "last_uid": last}

    assert ids_of(host) == (["a", "b", "c"], True)


@pytest.mark.parametrize(
    ("measures", "lacks"),
    [
        ({"weight": 70, "height": 174.5, "leg_length": "0.91", "ycom": 0.96}, ()),
        ({}, BODY_MEASURES),
        ({"weight": None, "height": 0, "leg_length": "", "ycom": "n/a"}, BODY_MEASURES),
        (
            {"weight": True, "height": [174], "leg_length": 0.9, "ycom": -1},
            ("weight", "height", "ycom"),
        ),
        (
            {"weight": 70, "height": 174, "leg_length": "1e999", "ycom": "NaN"},
            ("leg_length", "ycom"),
        ),
    ],
)
def test_it_is_read_which_body_measures_are_missing_and_no_value(
    measures: dict[str, object], lacks: tuple[str, ...]
) -> None:
    def host(_path: str, after: str | None) -> object:
        return {"users": [] if after else [{"user_uid": "u", "display_name": "N", **measures}]}

    (user,) = fetch_users(asking(host), now_s=0.0).users

    assert user.lacks == lacks
    assert "174" not in repr(user)
