"""What the API says of a session is read leniently, and is harmless whatever it is."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.api.documents import link_path, read_analysis, session_path

LINK = "https://storage.example/a.mp4?X-Signature=abc"
ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                [
                    "session",
                    "sessions",
                    "data",
                    "metrics",
                    "error",
                    "status",
                    "analyzed_video_url",
                    "x",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@pytest.mark.parametrize(
    "told",
    [
        {"analyzed_video_url": LINK, "metrics": {"a": 1}},
        {"session": {"analyzed_video_url": LINK, "metrics": {"a": 1}}},
        {"sessions": {"s1": {"analyzed_video_url": LINK, "metrics": {"a": 1}}}},
        {"s1": {"analysed_video_url": f" {LINK} ", "metrics": {"a": 1}}, "count": 1},
    ],
)
def test_a_session_is_found_in_whatever_wraps_it(told: object) -> None:
    read = read_analysis(told, "s1")

    assert read is not None and (read.link, read.numbers, read.failure) == (LINK, {"a": 1}, None)
    assert "X-Signature" not in repr(read)


@pytest.mark.parametrize("told", [None, 7, "text", [], [{}], True])
def test_what_is_no_object_is_about_no_session(told: object) -> None:
    assert read_analysis(told, "s1") is None


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ({"error": "no person\nfound"}, "no person found"),
        ({"status": "FAILED", "message": "too dark"}, "too dark"),
        ({"state": "error"}, "no reason given"),
        ({"error": {"code": 7}}, "no reason given"),
        ({"error": None, "status": "processing"}, None),
        ({"error": "", "status": 7}, None),
    ],
)
def test_a_failure_is_known_by_what_the_api_may_call_it(
    told: dict[str, object], words: str | None
) -> None:
    read = read_analysis({**told, "title": "a", "user_id": "b"}, "s1")

    assert read is not None and read.failure == words


def test_numbers_are_bounded_and_curves_are_none() -> None:
    metrics = {
        **{"huge": 10**400, "nan": float("nan")},
        "many": {f"m{n}": n for n in range(500)},
        "curve": [0.1, 0.2],
        "none": None,
        "inf": float("inf"),
    }

    read = read_analysis({"metrics": metrics}, "s1")

    assert read is not None and len(read.numbers) == 200
    assert set(read.numbers) == {f"many.m{n}" for n in range(200)}


@given(ANY)
def test_nothing_that_comes_does_harm(told: object) -> None:
    read = read_analysis(told, "s1")

    if read is not None:
        json.dumps(dict(read.numbers), allow_nan=False)
        assert all(name.isprintable() for name in read.numbers)


def test_an_id_is_no_path() -> None:
    assert session_path("running", "../x?y") == "/running/sessions/..%2Fx%3Fy/"
    assert link_path("jumping", "s1").endswith("/s1/analyzed-video/?is_jump=true")
    assert link_path("running", "s1").endswith("/s1/analyzed-video/")
