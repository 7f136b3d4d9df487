"""Modules as an attacker would plant them: in a folder that others write."""

import sys
from pathlib import Path

_NAMES = ("agent", "analysis", "av", "cv2", "numpy", "json", "secrets", "site", "usercustomize")


def plant(folder: Path) -> None:
    """Put modules into a folder, and where Python looks below a home; each tells when it runs."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    below_home = folder / ".local" / "lib" / version / "site-packages"
    below_home.mkdir(parents=True)
    code = f"open({str(folder / 'imported')!r}, 'a').write(__name__ + ' ')\n"
    for place in (folder, below_home):
        for name in (*_NAMES, "sitecustomize"):
            (place / f"{name}.py").write_text(code)
