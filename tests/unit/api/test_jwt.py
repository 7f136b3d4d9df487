"""What a key says of itself is read, and anything else does no harm."""

import base64
import json

import pytest

from agent.secret_files import key_expires_at, key_expires_soon, key_owner_ids


def token(claims: object) -> str:
    parts = (base64.urlsafe_b64encode(json.dumps(p).encode()).decode() for p in ({}, claims))
    return ".".join((*(part.rstrip("=") for part in parts), "c2ln"))


def test_expiry_and_owner_are_read() -> None:
    key = token({"exp": 1_800_000_000, "uid": "u1", "sub": "u2", "iat": 1})

    assert key_expires_at(key) == 1_800_000_000
    assert key_owner_ids(key) == {"u1", "u2"}


@pytest.mark.parametrize(
    "key",
    [
        *("sandbox-key", "", "a.b.c", "..", "a.!!!.c", "x" * 100_000, "é.é.é"),
        *map(token, ([], "x", None, {"exp": "soon", "uid": 7}, {"exp": True})),
        *(token({"exp": exp}) for exp in (-1, 0, 1e300, [1])),
        ".".join(("e30", base64.urlsafe_b64encode(b"[" * 9000).decode().rstrip("="), "c")),
    ],
)
def test_what_says_nothing_or_nonsense_is_passed_over(key: str) -> None:
    assert key_expires_at(key) is None
    assert key_owner_ids(key) == frozenset()


def test_fourteen_days_before_it_is_soon() -> None:
    at = 1_800_000_000.0
    assert not key_expires_soon(at, now_s=at - 15 * 86_400)
    assert key_expires_soon(at, now_s=at - 13 * 86_400)
    assert key_expires_soon(at, now_s=at + 1)
    assert not key_expires_soon(None, now_s=at)
