"""Clip codes."""

import string

from hypothesis import given
from hypothesis import strategies as st

from agent.outbox.models import CODE_LENGTH, derive_clip_code, is_clip_code

HASHES = st.text(alphabet="0123456789abcdef", min_size=64, max_size=64)


@given(HASHES, st.integers(1, 99), st.integers(0, 9))
def test_a_code_is_ten_letters_that_nobody_misreads(
    sha256: str, take: int, generation: int
) -> None:
    code = derive_clip_code(sha256, take, generation)

    assert len(code) == CODE_LENGTH == 10
    assert set(code) <= set(string.digits + string.ascii_lowercase) - set("ilou")
    assert is_clip_code(code) and is_clip_code(code.upper())


def test_the_code_of_a_take_never_changes() -> None:
    # Titles at the API carry these: another answer here would orphan every session made so far.
    assert derive_clip_code("ab" * 32, 1, 0) == "gwwmm5jrw9"
    assert derive_clip_code("ab" * 32, 1, 0) != derive_clip_code("ab" * 32, 2, 0)
    assert derive_clip_code("ab" * 32, 1, 0) != derive_clip_code("ab" * 32, 1, 1)


def test_other_texts_are_no_codes() -> None:
    for text in ("", "c12", "gwwmm5jrw", "gwwmm5jrwu", "gwwmm5jrw9x"):
        assert not is_clip_code(text)
