"""The session list, read as it arrives."""

import json
import tracemalloc
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.api.documents import ListedSession, read_documents, read_sessions
from agent.api.responses import ApiResponse
from agent.text import plain

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


def document(**sessions: object) -> bytes:
    return json.dumps({"sessions": sessions}).encode()


@settings(max_examples=30, deadline=None)
@given(
    sessions=st.dictionaries(st.text(), JSON, max_size=5),
    before=JSON,
    after=JSON,
    part_bytes=st.integers(1, 40),
    indent=st.sampled_from([None, 2]),
)
def test_it_comes_out_the_same_however_it_is_cut_into_parts(
    sessions: dict[str, object], before: object, after: object, part_bytes: int, indent: int | None
) -> None:
    told = {"before": before, "sessions": sessions, "after": after}
    content = json.dumps(told, indent=indent, ensure_ascii=False).encode("utf-8", "replace")

    parts = (content[at : at + part_bytes] for at in range(0, len(content), part_bytes))
    found = list(read_sessions(parts))

    expected = json.loads(content)["sessions"]
    assert [session.session_id for session in found] == [plain(name) for name in expected]


def test_a_name_commands_no_terminal_and_can_be_written_into_any_table() -> None:
    (session,) = read_sessions([document(**{"a\x1b[2J": {"title": "[abc]\ud800\u202e"}})])

    assert session == ListedSession("a\ufffd[2J", "[abc]\ufffd\ufffd")


def test_what_it_tells_is_taken_and_what_is_odd_is_left_empty() -> None:
    made = {"date": "24/11/2026", "time": "09:30 PM"}
    content = document(
        a={"title": "[abc]", "created_at": made, "user_id": "u", "activity": "running", "more": 1},
        b={"title": None, "created_at": "yesterday", "user_id": 7},
        c="nonsense",
    )

    whole, odd, none = read_sessions([content])

    assert whole == ListedSession("a", "[abc]", "24/11/2026", "09:30 PM", "running", "u")
    assert (odd, none) == (ListedSession("b"), ListedSession("c"))
    assert whole.is_surely_older_than(datetime(2026, 11, 25, 12, tzinfo=UTC))
    assert not whole.is_surely_older_than(datetime(2026, 11, 25, 11, tzinfo=UTC))  # zones
    assert not odd.is_surely_older_than(datetime(2030, 1, 1, tzinfo=UTC))


@pytest.mark.parametrize(
    "content",
    [
        *(b"", b"<html>", b"[]", b'"sessions"', b'{"sessions": {', b'{"sessions": {"a": {}'),
        *(b'{"sessions": {"a" {}}}', b'{"sessions": {"a": {}},', b"{1: 2}", b'{"a": \xff}'),
        *(b'{"sessions": {"a": {},}}', b'{"sessions": {/**/"a": {}}}', b"\xef\xbb\xbf{}"),
        *(b'{"sessions": {"a": "\n"}}', b'{"sessions": {"a": 012}}', b'{"a": "\xed\xa0\x80"}'),
        b'{"sessions": {"a": ' + b"[" * 100_000,
    ],
)
def test_what_is_no_list_or_breaks_off_is_an_error(content: bytes) -> None:
    with pytest.raises(ValueError):
        list(read_sessions([content]))


@pytest.mark.parametrize("content", [b"{}", b'{"sessions": []}', b'{"sessions": null}'])
def test_a_list_of_another_shape_shows_nothing(content: bytes) -> None:
    assert list(read_sessions([content])) == []


def test_a_number_without_end_costs_neither_the_list_nor_an_answer() -> None:
    content = document(a={"title": "[abc]", "metrics": 7}, b={}).replace(b"7", b"-" + b"7" * 9000)

    assert [session.title for session in read_sessions([content])] == ["[abc]", ""]
    assert ApiResponse(status=200, body=content).json() is not None


@pytest.mark.parametrize(
    ("metric", "read"),
    [
        ("NaN", "nan"),  # as Python's json writes it: one such metric must not cost the list
        ("-Infinity", "-inf"),
        ("1e999", "inf"),
        ("1" * 4301, "inf"),  # more digits than Python reads
        ("9223372036854775808", "9223372036854775808"),  # more than 64 bits
    ],
)
@pytest.mark.parametrize("part_bytes", [1, 7, 1 << 16])
def test_a_number_that_few_parsers_read_costs_no_list(
    metric: str, read: str, part_bytes: int
) -> None:
    content = document(a={"title": "[abc]", "metrics": [7]}, b={}).replace(b"7", metric.encode())

    parts = (content[at : at + part_bytes] for at in range(0, len(content), part_bytes))
    found = dict(read_documents(parts))

    assert list(found) == ["a", "b"]
    first = found["a"]
    assert isinstance(first, dict) and str(first["metrics"][0]) == read


def test_of_a_key_that_comes_twice_the_last_counts_and_of_sessions_both() -> None:
    content = b'{"sessions": {"a": {"title": "x", "title": "y"}, "a": {}}, "sessions": {"c": {}}}'

    assert [(s.session_id, s.title) for s in read_sessions([content])] == [
        ("a", "y"),
        *(("a", ""), ("c", "")),
    ]


def test_a_session_without_end_is_not_read_to_its_end() -> None:
    read_bytes = 0

    def parts(size_mb: int) -> Iterator[bytes]:
        nonlocal read_bytes
        yield b'{"sessions": {"a": ["'
        for _ in range(size_mb * 16):
            read_bytes += 65_536
            yield b"x" * 65_536
        yield b'"]}}'

    assert len(list(read_sessions(parts(3)))) == 1
    with pytest.raises(ValueError, match="without end"):
        list(read_sessions(parts(60)))
    assert read_bytes < 8 << 20  # both; what is read becomes many times as much of objects


def test_a_very_long_list_needs_no_memory() -> None:
    def parts() -> Iterator[bytes]:
        yield b'{"sessions": {'
        for number in range(2_000):
            chunk = ",".join(
                f'"{number}-{n}": {{"title": "t{n}", "metrics": 1}}' for n in range(10)
            )
            yield ("," if number else "").encode() + chunk.encode()
        yield b"}}"

    tracemalloc.start()
    count = sum(1 for _ in read_sessions(parts()))
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert count == 20_000
    assert peak_bytes < 200_000


@pytest.mark.parametrize(
    ("date", "time"),
    [
        ("24/11/2026", "09:30 PM"),
        ("2026-11-24", "09:30 PM"),
        ("2026-11-24", "21:30"),
        ("2026-11-24", "21:30:15"),
        ("24/11/2026", "21:30"),
    ],
)
def test_a_date_is_read_in_every_form(date: str, time: str) -> None:
    session = ListedSession("a", date=date, time=time)

    assert session.is_surely_older_than(datetime(2026, 11, 25, 12, tzinfo=UTC))
    assert not session.is_surely_older_than(datetime(2026, 11, 25, 11, tzinfo=UTC))
    assert session.is_surely_newer_than(datetime(2026, 11, 24, 7, tzinfo=UTC))
    assert not session.is_surely_newer_than(datetime(2026, 11, 24, 8, tzinfo=UTC))
