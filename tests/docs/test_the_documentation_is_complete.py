"""`docs/check.py` passes as `make check` runs it, and fails for everything that it promises to find."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from homes import REPOSITORY, Home


@pytest.fixture
def home(tmp_path: Path) -> Home:
    folder = tmp_path / "home"
    folder.mkdir()
    (folder / "secret_key").write_text("a-secret-key-for-tests-0123456789-0123456789\n")
    return Home(folder)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The repository's Markdown files and what they link to, to be spoilt."""
    root = tmp_path / "copy"
    shutil.copytree(REPOSITORY / "docs", root / "docs", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(REPOSITORY / "benchmarks", root / "benchmarks", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(REPOSITORY / "deploy", root / "deploy")
    notebooks = ("research/notebooks/train_income_classifier.ipynb", "research/notebooks/ab_test.ipynb")
    linked = ("research/data/README.md", *notebooks)
    for name in ("README.md", "CHANGELOG.md", "LICENSE", "pyproject.toml", *linked):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(REPOSITORY / name, root / name)
    return root


def check(home: Home, root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return home.run(sys.executable, str(root / "docs" / "check.py"), *arguments, check=False)


def spoil(page: Path, old: str, new: str) -> None:
    text = page.read_text(encoding="utf-8")
    assert old in text, f"{page.name} has no {old!r}"
    page.write_text(text.replace(old, new, 1), encoding="utf-8")


def test_the_documentation_is_complete(home: Home) -> None:
    done = check(home, REPOSITORY)
    assert done.returncode == 0, done.stdout + done.stderr


def test_what_is_missing_stale_or_broken_is_named(home: Home, copy: Path) -> None:
    docs = copy / "docs"
    spoil(docs / "settings.md", "| `ML_PIPELINE_QUEUE_ROWS` |", "| `QUEUE_ROWS` |")
    spoil(docs / "settings.md", "| `ML_PIPELINE_URL` |", "| `URL` |")
    spoil(docs / "api.md", "### `GET /api/v1/mlrequests`", "### `GET /api/v1/requests`")
    spoil(docs / "api.md", "### `PUT, PATCH /api/v1/mlrequests/{id}`", "### `PUT /api/v1/mlrequests/{id}`")
    spoil(docs / "api.md", "### `GET /healthz`", "### Health")
    spoil(docs / "errors.md", "### 409 `ambiguous`", "### 409 `unclear`")
    spoil(docs / "commands.md", "### `ml-pipeline keys revoke`", "### `ml-pipeline keys remove`")
    spoil(docs / "commands.md", "### `manage.py register`", "### Registration")
    spoil(copy / "README.md", "(docs/errors.md)", "(docs/mistakes.md)")
    spoil(copy / "README.md", "(docs/settings.md)", "(docs/settings.md#nowhere)")
    (docs / "performance.md").write_text("Fast.\n", encoding="utf-8")
    with (copy / "README.md").open("a", encoding="utf-8") as page:
        page.write("\nSet `ML_PIPELINE_SPEED`, run `ml-pipeline fly`, then `manage.py land`.\n")

    done = check(home, copy)
    assert done.returncode == 1, done.stderr
    assert sorted(done.stdout.splitlines()) == sorted(
        [
            "docs/settings.md: a generated table is stale; python docs/check.py --write makes it anew",
            "docs/settings.md: the variable ML_PIPELINE_URL is not documented",
            "README.md: there is no setting ML_PIPELINE_SPEED",
            "docs/api.md: the route GET /api/v1/mlrequests is not documented",
            "docs/api.md: the route PATCH /api/v1/mlrequests/{id} is not documented",
            "docs/api.md: the route GET /healthz is not documented",
            "docs/api.md: there is no route GET /api/v1/requests",
            "docs/errors.md: the error code 409 `ambiguous` is not documented",
            "docs/errors.md: there is no error code 409 `unclear`",
            "docs/commands.md: the command ml-pipeline keys revoke is not documented",
            "docs/commands.md: the command manage.py register is not documented",
            "docs/commands.md: there is no command ml-pipeline keys remove",
            "README.md: there is no command ml-pipeline fly",
            "README.md: there is no command manage.py land",
            "README.md: the link docs/mistakes.md leads nowhere",
            "README.md: the link docs/settings.md#nowhere names no heading there",
            "docs/performance.md is not what its run says; python docs/check.py --write makes it anew",
            "17 complaints about the documentation.",
        ]
    )


def test_write_makes_the_generated_tables_anew(home: Home, copy: Path) -> None:
    page = copy / "docs" / "settings.md"
    good = page.read_text(encoding="utf-8")
    spoil(page, "| `PORT` | `8000` |", "| `PORT` | `80` |")
    done = check(home, copy, "--write")
    assert done.returncode == 0, done.stdout + done.stderr
    assert page.read_text(encoding="utf-8") == good
