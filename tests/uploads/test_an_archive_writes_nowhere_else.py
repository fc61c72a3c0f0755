"""Zips with names that lead elsewhere, links, bombs and lies: refused, and nothing is written outside."""

from __future__ import annotations

from pathlib import Path

import hostile_archives
import pytest
import refusals
import wine
from servers import BY_ASGI, Server

pytestmark = BY_ASGI


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "outside" / "canary.txt"


def test_an_honest_archive_is_registered_with_its_folder_or_without(door: Server) -> None:
    flat = hostile_archives.honest()
    nested = {f"bundle/{name}": content for name, content in flat.items()}
    for members, expected in ((flat, 201), (nested, 201)):
        files = wine.files(hostile_archives.packed(members), "model.zip")
        assert refusals.upload(door, files).status_code == expected


def test_names_that_lead_elsewhere_are_refused(door: Server, target: Path) -> None:
    target.parent.mkdir()
    cases = hostile_archives.slips(str(target))
    messages = refusals.refused(door, {case: wine.files(content, "model.zip") for case, content in cases.items()})
    assert not [case for case, message in messages.items() if "no plain file of a bundle" not in message]
    assert not list(target.parent.iterdir())


def test_a_link_leads_to_no_file_of_the_server(door: Server) -> None:
    # The server's own secret as the sample: its first line would come back in a complaint.
    secret = door.home.folder / "secret_key"
    files = wine.files(hostile_archives.linked("sample.csv", str(secret)), "model.zip")
    del files["sample"]
    (message,) = refusals.refused(door, {"linked": files}).values()
    assert secret.read_text().strip() not in message


def test_odd_archives_are_refused(door: Server) -> None:
    cases = hostile_archives.oddities()
    messages = refusals.refused(door, {case: wine.files(content, "model.zip") for case, content in cases.items()})
    assert "twice" in messages["a member twice, once in capitals"]
    assert "at most 100" in messages["100,000 members"]


def test_archives_that_expand_to_gigabytes_are_refused(door: Server) -> None:
    cases = {}
    for member, kind in (("schema.json", "skops"), ("manifest.json", "zip")):
        bomb = hostile_archives.swollen(member, 2_000_000_000)
        cases[f"{kind}, as it says"] = wine.files(bomb, f"model.{kind}")
        cases[f"{kind}, and says otherwise"] = wine.files(hostile_archives.lying(bomb, 1_000), f"model.{kind}")
    messages = refusals.refused(door, cases)
    assert "2,000,000,000 bytes" in messages["skops, as it says"]
    assert "2,000,000,000 bytes" in messages["zip, as it says"]
