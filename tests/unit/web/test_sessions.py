"""A session is what was signed here, and not too long ago."""

from hypothesis import given
from hypothesis import strategies as st

from agent.outbox.devices import Role
from agent.web.auth import LoginSession, Signer
from tests.factories import NOW_S

SIGNER = Signer(b"s" * 32, lasts_days=90)
SESSION = LoginSession(device_id="abcd2345", role=Role.COACH, issued_at=int(NOW_S))


def test_what_was_signed_is_known_again_until_it_is_too_old() -> None:
    cookie = SIGNER.cookie(SESSION)

    assert SIGNER.read(cookie, now_s=NOW_S) == SESSION
    assert SIGNER.read(cookie, now_s=NOW_S + 90 * 86400) == SESSION
    assert SIGNER.read(cookie, now_s=NOW_S + 90 * 86400 + 1) is None
    assert SIGNER.read(cookie, now_s=NOW_S - 2 * 86400) is None, "from the future"


@given(at=st.integers(0, 200), sign=st.characters(min_codepoint=33, max_codepoint=126))
def test_no_changed_cookie_is_another_session(at: int, sign: str) -> None:
    cookie = SIGNER.cookie(SESSION)
    changed = cookie[: at % len(cookie)] + sign + cookie[at % len(cookie) + 1 :]

    read = SIGNER.read(changed, now_s=NOW_S)

    assert read in (None, SESSION)  # another spelling of the same signature may pass


@given(st.text(max_size=200))
def test_no_text_is_a_session(text: str) -> None:
    assert SIGNER.read(text, now_s=NOW_S) is None


def test_another_secret_knows_nothing_of_it() -> None:
    other = Signer(b"t" * 32, lasts_days=90)

    assert other.read(SIGNER.cookie(SESSION), now_s=NOW_S) is None
    assert not other.verify_csrf(SESSION, SIGNER.csrf_token(SESSION))


def test_the_csrf_token_is_the_devices_own() -> None:
    other = LoginSession(device_id="efgh2345", role=Role.COACH, issued_at=int(NOW_S))

    assert SIGNER.verify_csrf(SESSION, SIGNER.csrf_token(SESSION))
    assert not SIGNER.verify_csrf(SESSION, SIGNER.csrf_token(other))
    assert not SIGNER.verify_csrf(SESSION, "")
    assert not SIGNER.verify_csrf(SESSION, "ü")
