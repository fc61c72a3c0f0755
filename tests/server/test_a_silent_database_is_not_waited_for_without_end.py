"""Connections to PostgreSQL have limits in time, which the URL may overrule."""

from __future__ import annotations

import json
from pathlib import Path

from homes import Home

_PARAMETERS = """
import django, json
django.setup()
from django.db import connection
connection.ensure_connection()
print(json.dumps(connection.connection.info.get_parameters()))
"""


def parameters(folder: Path, url: str) -> dict[str, str]:
    (folder / "secret_key").write_text("a-secret-key-for-tests-0123456789-0123456789\n")
    home = Home(folder, url)
    found: dict[str, str] = json.loads(home.python(_PARAMETERS).splitlines()[-1])
    return found


def test_they_reach_the_connection(postgres_url: str, tmp_path: Path) -> None:
    found = parameters(tmp_path, postgres_url)
    assert (found["connect_timeout"], found["tcp_user_timeout"]) == ("10", "15000")
    assert (found["keepalives_idle"], found["keepalives_interval"], found["keepalives_count"]) == ("5", "5", "2")


def test_the_url_overrules_them(postgres_url: str, tmp_path: Path) -> None:
    more = "&" if "?" in postgres_url else "?"
    found = parameters(tmp_path, f"{postgres_url}{more}connect_timeout=3&tcp_user_timeout=1000")
    assert (found["connect_timeout"], found["tcp_user_timeout"]) == ("3", "1000")
    assert found["keepalives_idle"] == "5"
