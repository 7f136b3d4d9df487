"""The site's athletes: a CSV file as a whole, or not at all."""

from pathlib import Path

import pytest

from agent.errors import ConfigError, RequestError
from agent.hub.planning import HubRoster, read_roster_csv

_GOOD = (
    "\ufeffuser_id,name,groups,consent\nu1,Ada  Lovelace,U18; Lifting;,yes\nu2,Bo,,\nu3,Cy,,NO\n"
)


def test_athletes_are_merged_replaced_and_removed(tmp_path: Path) -> None:
    roster = HubRoster(tmp_path / "roster.json")
    assert roster.athletes() == {}
    assert roster.change(read_roster_csv(_GOOD), replace=False) == 3
    ada = roster.athletes()["u1"]
    assert (ada.name, ada.groups, ada.consent) == ("Ada Lovelace", ("U18", "Lifting"), "yes")
    assert roster.change(read_roster_csv("user_id,name\nu1,Ada\nu9,Di\n"), replace=False) == 4
    assert roster.athletes()["u1"].groups == ()
    again = HubRoster(tmp_path / "roster.json")
    with pytest.raises(RequestError, match="u3"):
        again.refuse_without_consent(["u1", "u3", "unknown"])
    again.refuse_without_consent(["u1", "u2", "unknown"])
    again.remove("u3")
    again.refuse_without_consent(["u3"])
    with pytest.raises(RequestError, match="no athlete"):
        again.remove("u3")
    assert set(roster.athletes()) == {"u1", "u2", "u9"}  # read again
    assert again.change(read_roster_csv("user_id,name\nu5,Ed\n"), replace=True) == 1
    assert (tmp_path / "roster.json").stat().st_mode & 0o077 == 0
    (tmp_path / "roster.json").write_text("[{}]")
    with pytest.raises(ConfigError, match="damaged"):
        again.athletes()


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "the first line"),
        ("user_id,name,phone\n", "the first line"),
        ("user_id,name,name\n", "the first line"),
        ("user_id,name\nu1,Ada\nu1,Bo\n", "line 3: u1 is there twice"),
        ("user_id,name\nu1,Ada\nu2\n", "line 3"),
        ("user_id,name\nu1,Ada,more\n", "line 2"),
        ("user_id,name\nu 1,Ada\n", "line 2"),
        ("user_id,name\nu1,A\x07da\n", "line 2"),
        ("user_id,name\nu1,\u202eadA\n", "line 2"),
        ("user_id,name,consent\nu1,Ada,maybe\n", "line 2"),
        (f"user_id,name\nu1,{'x' * 81}\n", "line 2"),
        (f"user_id,name\nu1,{'x' * 200_000}\n", "line 2 cannot be read: field larger"),
        ("user_id,name\nu1\n", "line 2 cannot be read: u1,$"),
    ],
)
def test_a_file_with_a_mistake_changes_nothing(text: str, why: str) -> None:
    with pytest.raises(RequestError, match=why) as caught:
        read_roster_csv(text)
    assert caught.value.hint or "twice" in why
