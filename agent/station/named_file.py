"""A file that a person named: where it can be read, its content says which recording it is."""

import hashlib
from contextlib import suppress
from pathlib import Path


def sha256_of(path: Path) -> str | None:
    """Return the hash of a file's content; None where there is no file, or this user may not look.

    Then the name is all there is to go by. A folder that is closed to `sudo -u spotter` is often
    the one that a person stands in.
    """
    with suppress(OSError):
        if path.is_file():
            with path.open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest()
    return None
