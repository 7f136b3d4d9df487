"""What answers mean."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.api.responses import ApiResponse, parse_retry_after, session_made, upload_failure
from agent.errors import (
    ApiUnavailableError,
    NotCreatedError,
    OutcomeUnknownError,
    RefusedError,
    UploadError,
)
from agent.logs import hide_always

NOW_S = 1_795_000_000.0
WORDS = json.dumps({"error": "no"}).encode()


@pytest.mark.parametrize(
    ("status", "body", "body_complete", "kind"),
    [
        (200, b"<html>", False, ApiUnavailableError),
        (200, b"<html>", True, OutcomeUnknownError),
        (204, b"", True, OutcomeUnknownError),
        (302, b"", False, ApiUnavailableError),
        (302, b"", True, OutcomeUnknownError),
        (101, b"", True, OutcomeUnknownError),
        (400, WORDS, True, RefusedError),
        (400, b"<html>", True, ApiUnavailableError),
        (401, WORDS, True, ApiUnavailableError),
        (402, WORDS, True, RefusedError),
        (403, WORDS, True, RefusedError),
        (404, WORDS, True, RefusedError),
        (404, b"<html>", True, ApiUnavailableError),
        (408, b"", False, NotCreatedError),
        (408, b"", True, OutcomeUnknownError),
        (413, b"<html>", False, RefusedError),
        (422, WORDS, True, RefusedError),
        (425, b"", True, NotCreatedError),
        (429, b"", True, NotCreatedError),
        (500, WORDS, False, NotCreatedError),
        (500, WORDS, True, OutcomeUnknownError),
        (503, b"", True, OutcomeUnknownError),
        (520, b"", True, OutcomeUnknownError),
    ],
)
def test_the_retry_table(
    status: int, body: bytes, body_complete: bool, kind: type[UploadError]
) -> None:
    answer = ApiResponse(status=status, body=body)

    error = upload_failure(answer, body_complete=body_complete, now_s=NOW_S)

    assert type(error) is kind


@pytest.mark.parametrize("before", [0, 280, 299])
def test_a_host_that_repeats_what_it_was_sent_does_not_bring_the_key_to_others(before: int) -> None:
    hide_always("k3y-of-this-test-alone")
    words = f"{'x' * before} bad header: API-KEY k3y-of-this-test-alone"

    error = upload_failure(
        ApiResponse(status=400, body=json.dumps({"error": words}).encode()),
        body_complete=True,
        now_s=NOW_S,
    )

    assert "k3y" not in str(error)
    assert str(error).startswith("HTTP 400: ")


@given(st.integers(200, 599), st.binary(max_size=200), st.booleans())
def test_no_answer_whatever_it_holds_brings_the_lane_down(
    status: int, body: bytes, body_complete: bool
) -> None:
    answer = ApiResponse(status=status, body=body)

    if session_made(answer) is None:
        error = upload_failure(answer, body_complete=body_complete, now_s=NOW_S)
        assert isinstance(error, UploadError) and str(error).isprintable()


@pytest.mark.parametrize(
    ("status", "document", "session_id"),
    [
        (200, {"session_id": "abcd", "title": "t"}, "abcd"),
        (201, {"session_id": "abcd", "extra": [1]}, "abcd"),
        (200, {"session_id": "a\ud800\x1b[2J b"}, "a\ufffd\ufffd[2J b"),
        (200, {"session_id": ""}, None),
        (200, {"session_id": 7}, None),
        (200, ["session_id"], None),
        (302, {"session_id": "abcd"}, None),
    ],
)
def test_only_a_2xx_with_a_session_id_is_an_acknowledgement(
    status: int, document: object, session_id: str | None
) -> None:
    made = session_made(ApiResponse(status=status, body=json.dumps(document).encode()))

    assert (made and made.session_id) == session_id


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("120", 120.0),
        (" 7 ", 7.0),
        ("soon", None),
        ("-5", None),
        ("Wed, 18 Nov 2026 12:27:40 GMT", 4860.0),
        ("Sun, 01 Jan 2023 00:00:00 GMT", 0.0),
    ],
)
def test_retry_after_in_every_form(header: str | None, seconds: float | None) -> None:
    assert parse_retry_after(header, now_s=NOW_S) == seconds


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ({"error": "no", "error_code": "LIMIT"}, "no [LIMIT]"),
        ({"error": "no", "error_code": 17}, "no [17]"),
        ({"error": "no", "error_code": None}, "no"),
        ({"error": "no", "error_code": ["x"]}, "no"),
        ({"error": "no", "error_code": "a\x1b[2J" + "b" * 500}, "no [a [2J" + "b" * 55 + "]"),
        ({"error_code": "LIMIT"}, None),
    ],
)
def test_the_code_of_an_error_is_told_with_its_words(
    document: dict[str, object], words: str | None
) -> None:
    assert ApiResponse(status=404, body=json.dumps(document).encode()).error_words() == words


def test_what_can_be_read_but_not_processed_is_refused() -> None:
    body = json.dumps({"error": "no person in it", "error_code": "NO_PERSON"}).encode()
    answer = ApiResponse(status=422, body=body)

    failure = upload_failure(answer, body_complete=True, now_s=0.0)

    assert isinstance(failure, RefusedError)
    assert str(failure) == "HTTP 422: no person in it [NO_PERSON]"
