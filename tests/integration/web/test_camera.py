"""The camera's routes without a recorder, and what a form may say of the zone."""

import pytest

from agent.settings.load import PAGE_FILE
from tests.served_page import ServedPage


def test_without_a_recorder_the_page_says_so_in_one_line(page: ServedPage) -> None:
    with page.client(page.session(), accept="text/html") as coach:
        shown = coach.get("/camera")
    assert "Your camera program shows its own picture." in shown.text
    assert "camera-live" not in shown.text
    with page.client(page.session()) as coach:
        assert coach.get("/camera/picture").status_code == 404
        assert coach.get("/camera/words").status_code == 404
        assert coach.get("/camera/checked").status_code == 404
        assert coach.post("/camera/check", data={"camera": "main"}).status_code == 404
        assert coach.post("/camera/reference").status_code == 404


@pytest.mark.parametrize(
    "corners",
    ["0.5,0.5", "0,0 0,1 0,0.5", "2,0 0,1 1,1", "nonsense", "0.1,0.1;0.9,0.9", "1e1,0 0,0 0,1"],
)
def test_a_zone_that_is_none_is_refused_and_nothing_is_written(
    page: ServedPage, corners: str
) -> None:
    with page.client(page.session()) as coach:
        assert coach.post("/camera/zone", data={"corners": corners}).status_code == 422
    assert not (page.folder.root / PAGE_FILE).exists()


def test_where_the_environment_sets_the_zone_the_page_does_not(
    page: ServedPage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPOTTER_ANALYSIS__ZONE", "[]")
    with page.client(page.session()) as coach:
        answer = coach.post("/camera/zone", data={"corners": "0,0 1,0 1,1"})
    assert answer.status_code == 409 and "environment" in answer.json()["say"]
    assert not (page.folder.root / PAGE_FILE).exists()
