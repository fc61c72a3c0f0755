"""`migrate` gives a MySQL database a collation that compares exactly, or says in one sentence why it cannot."""

from __future__ import annotations

from pathlib import Path

import pytest
from homes import Home
from mariadb import MariaDB

pytestmark = pytest.mark.services

TOO_LONG = """
import django
django.setup()
from django.db import DataError
from django.utils import timezone
from ml_pipeline.apps.accounts.models import Team
from ml_pipeline.apps.endpoints.models import Endpoint
try:
    Endpoint.objects.create(name="a" * 64, team=Team.objects.get(), created_at=timezone.now())
except DataError as error:
    print("refused")
"""


@pytest.fixture
def home(mysql_url: str, tmp_path: Path) -> Home:
    home = Home(tmp_path / "home", mysql_url)
    home.folder.mkdir()
    (home.folder / "secret_key").write_text("a-secret-key-for-tests-0123456789-0123456789\n")
    return home


def refusal(home: Home) -> str:
    done = home.manage("migrate", "-v", "0", check=False)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    return done.stderr


def test_tables_that_compare_otherwise_are_named(home: Home, mariadb: MariaDB) -> None:
    database = home.database_url.rpartition("/")[2]
    mariadb.execute(
        "CREATE TABLE django_site (name VARCHAR(9)) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci", database
    )
    told = refusal(home)
    assert "django_site.name compares text by utf8mb4_general_ci" in told
    assert "utf8mb4_nopad_bin" in told
    mariadb.execute("ALTER TABLE django_site CONVERT TO CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin", database)
    home.manage("migrate", "-v", "0")


def test_tables_that_pad_are_named_though_they_are_binary_and_only_json_may(home: Home, mariadb: MariaDB) -> None:
    database = home.database_url.rpartition("/")[2]
    mariadb.execute(
        "CREATE TABLE notes (body LONGTEXT, about JSON) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin", database
    )
    assert "notes.body compares text by utf8mb4_bin" in refusal(home)
    mariadb.execute("ALTER TABLE notes MODIFY body LONGTEXT COLLATE utf8mb4_nopad_bin", database)
    home.manage("migrate", "-v", "0")
    # Its own tables have columns of JSON, too.
    home.manage("migrate", "-v", "0")


def test_who_may_not_change_the_database_is_told_what_to_ask_for(home: Home, mariadb: MariaDB) -> None:
    database = home.database_url.rpartition("/")[2]
    user = f"{database}@'127.0.0.1'"
    mariadb.execute(f"CREATE USER {user}")
    rights = "CREATE, SELECT, INSERT, UPDATE, DELETE, INDEX, REFERENCES"
    mariadb.execute(f"GRANT {rights} ON {database}.* TO {user}")
    home.database_url = home.database_url.replace("root@", f"{database}@")
    told = refusal(home)
    statement = "ALTER DATABASE CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin"
    assert f"in that database: {statement}" in told
    mariadb.execute(statement, database)
    mariadb.execute(f"GRANT ALTER ON {database}.* TO {user}")
    home.manage("migrate", "-v", "0")


def test_what_does_not_fit_a_column_is_not_cut(home: Home) -> None:
    home.manage("migrate", "-v", "0")
    assert home.python(TOO_LONG) == "refused\n"
