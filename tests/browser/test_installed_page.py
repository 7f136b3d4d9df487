"""The page of what is installed, in a browser: every template and script is in the wheel."""

from pathlib import Path

from playwright.sync_api import Browser

from agent.sandbox.server import Sandbox
from tests.installed import Installed
from tests.served_page import free_port, is_open
from tests.station import KEY, Station, until


def test_a_browser_shows_the_installed_page_without_an_error(
    installed: Installed, tmp_path: Path, browser: Browser
) -> None:
    faults: list[str] = []
    port = free_port()
    listen = f"127.0.0.1:{port}"
    with Sandbox(key=KEY, processing_s=0.0) as sandbox:
        station = Station(tmp_path, sandbox.base_url, {"web": {"listen": listen}})
        station.put_clip()
        with station.running(python=installed.python):
            page = browser.new_page()
            page.on("pageerror", lambda error: faults.append(str(error)))
            page.on(
                "response",
                lambda got: faults.append(f"{got.status} {got.url}") if got.status >= 400 else None,
            )
            until(lambda: station.states() == ["uploaded"] and is_open("127.0.0.1", port))
            code = station.entries()[0]["clip_code"]
            for path in ("/", "/wall", "/athlete/someUserId123", f"/take/{code}"):
                page.goto(f"http://{listen}{path}")
                page.wait_for_function("() => document.readyState === 'complete'")
            page.close()

    assert faults == []
