"""The servers beside the product: an empty ASGI app, FastAPI with ONNX Runtime and with scikit-learn, the tutorial."""

from __future__ import annotations

import os
import sqlite3
import statistics
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.data_plane import machine, wrk
from benchmarks.data_plane.asks import Ask
from benchmarks.data_plane.contestants import UVICORN, Contestant, Running
from benchmarks.data_plane.errors import RunFailed

EMPTY, ONNX, SKLEARN, TUTORIAL = "empty-asgi", "fastapi-onnx", "fastapi-sklearn", "tutorial"
# The ways in which the FastAPI servers' handlers are written.
PATHS = {
    ONNX: ("/predict", "/predict-plain", "/predict-in-thread"),
    SKLEARN: ("/predict", "/predict-in-thread"),
}
TRIAL_S, TRIAL_CONNECTIONS, TRIALS = 2, 32, 2
# Scope to what is kept of its requests.
TABLES = {"predict": "endpoints_mlrequest", "feedback": "endpoints_feedback"}


def empty(cores: tuple[int, ...]) -> Contestant:
    """The server alone: it answers every row alike."""
    command = (*UVICORN, "--port", "{port}", "benchmarks.data_plane.empty_asgi:application")
    return Contestant(EMPTY, command, [Ask("POST", "/predict", '{"age": 39}')], cores=cores)


def fastapi(name: str, model: Path, questions: Sequence[Ask], cores: tuple[int, ...]) -> Contestant:
    """FastAPI with one of the two runtimes."""
    app = f"benchmarks.data_plane.{name.replace('-', '_')}:app"
    asked = [ask.at(PATHS[name][0]) for ask in questions]
    command = (*UVICORN, "--port", "{port}", app)
    return Contestant(name, command, asked, {"BENCH_MODEL": str(model)}, cores=cores)


def fastest(contestant: Contestant, folder: Path, client: tuple[int, ...]) -> tuple[Contestant, dict[str, float]]:
    """The contestant asked in the way that it answers fastest, and requests/s in each way."""
    running = Running(contestant, folder)

    def rate(path: str) -> float:
        questions = [ask.at(path) for ask in contestant.questions]
        running.check(questions[:50])
        file = wrk.write(questions, folder / "trial.tsv")
        load = {"connections": TRIAL_CONNECTIONS, "seconds": TRIAL_S, "cores": client}
        return wrk.run(running.url, running.headers(), file, **load).rate

    try:
        rates = tried(PATHS[contestant.name], rate)
    finally:
        running.stop()
    return contestant.at(max(rates, key=lambda path: rates[path])), rates


def tried(ways: Sequence[str], rate: Callable[[str], float]) -> dict[str, float]:
    """Each way's mean `rate` of TRIALS, taken in turns, so that whatever the machine does meanwhile is done to all.

    Before them each is asked once to warm up, which does not count.
    """
    for way in ways:
        rate(way)
    rounds = [{way: rate(way) for way in ways} for _ in range(TRIALS)]
    return {way: statistics.mean(one[way] for one in rounds) for way in ways}


def tutorial(model: Path, questions: Sequence[Ask], folder: Path, cores: tuple[int, ...]) -> Contestant:
    """The tutorial's server, its database made."""
    database = folder / "tutorial.sqlite3"
    environment = {
        "BENCH_MODEL": str(model),
        "BENCH_DATABASE": str(database),
        "DJANGO_SETTINGS_MODULE": "benchmarks.data_plane.tutorial.settings",
    }
    prepare = [str(machine.PYTHON), "-m", "benchmarks.data_plane.tutorial.prepare"]
    done = subprocess.run(
        prepare, env=os.environ | environment, cwd=machine.REPOSITORY, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RunFailed(f"The tutorial's database could not be made: {done.stderr[-1000:]}")
    # Never tired of a worker that was paused.
    command = ("-m", "gunicorn", "--bind", "127.0.0.1:{port}", "--workers", "1", "--worker-class", "gthread")
    command += ("--threads", "4", "--timeout", "0", "--log-level", "warning")
    asked = [ask.at("/api/v1/income_classifier/predict?status=production") for ask in questions]
    command += ("benchmarks.data_plane.tutorial.wsgi:application",)
    return Contestant(TUTORIAL, command, asked, environment, cores=cores, ledger=SQLiteLedger(database))


class SQLiteLedger:
    """The log in an SQLite file; the product's table and the tutorial's have one name."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def rows(self, scope: str) -> int:
        """How many predictions it holds, of the scope `predict`, or how much feedback."""
        return self._number(f"SELECT count(*) FROM {TABLES[scope]}")  # noqa: S608

    def size_bytes(self) -> int:
        """The size of the file once all that is in its log is written into it."""
        return self._number("PRAGMA page_count") * self._number("PRAGMA page_size")

    def _number(self, query: str) -> int:
        connection = sqlite3.connect(f"file:{self._path}?mode=ro", uri=True, timeout=60)
        try:
            return int(connection.execute(query).fetchone()[0])
        finally:
            connection.close()
