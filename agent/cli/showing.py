"""Showing something in the browser of this box."""

import contextlib
import html
import tempfile
import threading
import webbrowser
from pathlib import Path

from agent.errors import RequestError

_LOADS_WITHIN_S = 1.5

_PAGE = """<!doctype html><meta charset="utf-8"><meta name="referrer" content="no-referrer">
<meta http-equiv="refresh" content="0; url={address}"><title>Spotter</title>
"""


def show_in_browser(address: str) -> None:
    """Open an address that nobody else is to see: no process list shows it.

    The browser is given a page of this user's alone that leads there.

    Raises:
        RequestError: there is no browser here.
    """
    with tempfile.TemporaryDirectory(prefix="spotter-open-") as folder:
        page = Path(folder) / "open.html"
        page.write_text(_PAGE.format(address=html.escape(address)), encoding="utf-8")
        opened = False
        with contextlib.suppress(webbrowser.Error):
            opened = webbrowser.open(page.as_uri())
        if not opened:
            raise RequestError(
                "no browser is available here",
                hint="open it on the coach's page, or use --download DIR",
            )
        threading.Event().wait(_LOADS_WITHIN_S)  # then the page may go
