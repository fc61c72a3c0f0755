"""The table of errors of the file for both doors, once more: under uWSGI, and with the log on MariaDB."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import test_errors_have_one_shape_behind_both_doors as errors
from homes import Home
from mariadb import MariaDB
from servers import Server

pytestmark = pytest.mark.services

strange_home = errors.strange_home


@pytest.fixture(scope="module", params=["uwsgi", "mysql"])
def server(
    request: pytest.FixtureRequest, strange_home: Home, mariadb: MariaDB, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    home, door = strange_home, "uwsgi"
    if request.param == "mysql":
        folder: Path = tmp_path_factory.mktemp("strange")
        home, door = strange_home.moved(folder / "home", mariadb.create_database()), "asgi"
    server = Server(door, home, {"ML_PIPELINE_QUEUE_ROWS": "2"}).start()
    yield server
    server.stop()


test_the_error_is_what_the_table_says = errors.test_the_error_is_what_the_table_says
test_nothing_internal_is_told_of_a_failing_algorithm = errors.test_nothing_internal_is_told_of_a_failing_algorithm
test_complaints_name_row_and_field_and_nothing_is_logged = (
    errors.test_complaints_name_row_and_field_and_nothing_is_logged
)
test_a_full_queue_sheds_and_the_rest_is_answered = errors.test_a_full_queue_sheds_and_the_rest_is_answered
