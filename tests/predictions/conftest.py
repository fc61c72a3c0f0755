"""What tests of the log share: a home on each database."""

from __future__ import annotations

from pathlib import Path

import pytest
from homes import Home


@pytest.fixture(params=["sqlite", "postgresql", pytest.param("mysql", marks=pytest.mark.services)])
def logged_home(request: pytest.FixtureRequest, prepared_home: Home, bundles: Path, tmp_path: Path) -> Home:
    if request.param == "sqlite":
        return prepared_home.copy(tmp_path / "home")
    if request.param == "mysql":
        moved: Home = request.getfixturevalue("mysql_home")
        return moved
    home = Home(tmp_path / "home", request.getfixturevalue("postgres_url")).make()
    home.manage("register", str(bundles / "decision_tree"), "--endpoint", "income_classifier", "--version", "0.0.1")
    home.python(
        """
import django
django.setup()
from ml_pipeline.apps.endpoints import statuses
from ml_pipeline.apps.endpoints.models import MLAlgorithm
statuses.promote(MLAlgorithm.objects.get(), actor="tests")
"""
    )
    return home
