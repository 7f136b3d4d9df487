"""Numbers of things in words, so that one of them is never told as many."""


def counted(number: int, one: str, many: str | None = None) -> str:
    """Return a number with its word, as in 1 clip, 2 clips; 1 is there, 2 are there.

    Args:
        number: how many.
        one: the word for one of them.
        many: the word for any other number; `one` and an s if absent.
    """
    return f"{number} {one if number == 1 else many or f'{one}s'}"
