"""A second place for a file that may be large."""

import errno
import os
import shutil
from pathlib import Path

# No second name for this file: on another disk, or another user's (proc(5), protected_hardlinks).
_NO_LINKS = frozenset({errno.EXDEV, errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP})


def link_or_copy(source: Path, target: Path) -> None:
    """Give a file a second place; on the same disk, and if the file is ours, without a copy."""
    try:
        os.link(source, target)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        shutil.copyfile(source, target)
