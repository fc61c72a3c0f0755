"""What goes into a database comes out of it unchanged, and compares and sorts alike, on every database there is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from homes import Home
from mariadb import MariaDB

# Alike to a reader or to a collation, and not the same.
NAMES = [
    "Ann",
    "ann",
    "ANN",
    "Änn",
    "Ann ",
    "Ann\u00df",
    "Annss",
    "A\u0301nn",
    "\U0001f600",
    "\U0001f601",
    "\ufb01",
    "fi",
]
FLOATS = [0.1 + 0.2, 1 / 3, 5e-324, 1.7976931348623157e308, 2.2250738585072014e-308, 0.30000001192092896, 1.0, 0.0]
MOMENTS = ["1970-01-01T00:00:00.000001+00:00", "2038-01-19T03:14:08.999999+00:00", "9999-12-31T23:59:59.999999+00:00"]
DOCUMENT = {"b": [1e-7, 2**53 + 1, -0.5, None, True], "a": {"\U0001f600": "\\u0000 \" ' % \\"}, "": ""}

PROGRAM = f"""
import json
import django
django.setup()
import sys
from datetime import datetime
from uuid import UUID
import uuid_utils.compat
from django.utils import timezone
from ml_pipeline.apps.accounts import keys
from ml_pipeline.apps.accounts.models import ApiKey
from ml_pipeline.apps.endpoints import endpoints, tags
from ml_pipeline.apps.endpoints.models import Endpoint, Feedback, MLRequest
from ml_pipeline.errors import Conflict
sys.path.insert(0, "tests")
from registered import algorithm

names, floats, moments, document = json.loads({json.dumps(json.dumps([NAMES, FLOATS, MOMENTS, DOCUMENT]))!s})
told = {{}}

for name in names:
    keys.create(name, ["read"], actor="tests")
told["keys"] = [ApiKey.objects.get(name=name).name for name in names]
try:
    keys.create(names[0], ["read"], actor="tests")
except Conflict as error:
    told["same key"] = error.message

rows = {{name: algorithm(name, name="model") for name in names}}
told["versions"] = [type(row).objects.get(name="model", version=name).version for name, row in rows.items()]
told["no version"] = type(rows["Ann"]).objects.filter(name="Model").count()

def request(**changes):
    row = MLRequest(**{{
        "id": uuid_utils.compat.uuid7(), "parent_mlalgorithm": rows["Ann"], "outcome": "ok", "revision": 1,
        "batch_id": 2**62, "position": 0, "input_data": "", "full_response": "", "latency_us": 2**62,
        "created_at": timezone.now(), **changes,
    }})
    row.save(force_insert=True)
    return row.pk

units = [request(unit=name, response=name, input_data=name * 1000) for name in names]
told["units"] = [[one.unit == one.response for one in MLRequest.objects.filter(unit=name)] for name in names]
told["responses"] = [MLRequest.objects.filter(response=name).count() for name in names]
told["texts"] = [MLRequest.objects.get(pk=pk).input_data == name * 1000 for pk, name in zip(units, names)]
kept = [MLRequest.objects.get(pk=request(probability=number)).probability for number in floats]
told["floats"] = [number.hex() for number in kept]
kept = [MLRequest.objects.get(pk=request(created_at=datetime.fromisoformat(one))).created_at for one in moments]
told["moments"] = [one.isoformat() for one in kept]
told["later"] = [MLRequest.objects.filter(created_at__gt=datetime.fromisoformat(one)).count() for one in moments[1:]]
told["before all times"] = MLRequest.objects.filter(created_at__lt=datetime.fromisoformat("0001-01-01T00:00Z")).count()

Feedback.objects.create(request_id=units[0], value=document, actor="a", created_at=timezone.now())
told["document"] = Feedback.objects.get(request_id=units[0]).value

ids = [request() for _ in range(300)]
ids += [request(id=UUID(int=number)) for number in (0, 1, 2**64, 2**80, 2**96, 2**112, 2**127, 2**128 - 1)]
ids += [request(id=UUID(text)) for text in ("01a2076e-ffff-7fff-bfff-fffffffffff0", "01a2076f00007000" + "8" * 16)]
stored = list(MLRequest.objects.values_list("pk", flat=True).order_by("-pk"))
told["in order of ids"] = stored == sorted(stored, reverse=True) and set(ids) <= set(stored)
pages, before = [], UUID(int=2**128 - 1)
while page := list(MLRequest.objects.filter(pk__lt=before).order_by("-pk").values_list("pk", flat=True)[:50]):
    pages += page
    before = page[-1]
told["pages"] = pages == stored[1:]
print(json.dumps(told))
"""


def told(home: Home) -> dict[str, Any]:
    return dict(json.loads(home.python(PROGRAM)))


def expected() -> dict[str, Any]:
    return {
        "keys": NAMES,
        "same key": "There is an API key named 'Ann' already; choose another name.",
        "versions": NAMES,
        "no version": 0,
        "units": [[True]] * len(NAMES),
        "responses": [1] * len(NAMES),
        "texts": [True] * len(NAMES),
        "floats": [number.hex() for number in FLOATS],
        "moments": MOMENTS,
        "later": [1, 0],
        "before all times": 0,
        "document": DOCUMENT,
        "in order of ids": True,
        "pages": True,
    }


def test_on_sqlite(tmp_path: Path) -> None:
    assert told(Home(tmp_path / "home").make()) == expected()


def test_on_postgresql(postgres_url: str, tmp_path: Path) -> None:
    assert told(Home(tmp_path / "home", postgres_url).make()) == expected()


@pytest.mark.services
@pytest.mark.parametrize(
    "options",
    ["", "CHARACTER SET latin1", "CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci", "COLLATE utf8mb4_nopad_bin"],
)
def test_on_mysql_whatever_the_database_was_made_with(mariadb: MariaDB, tmp_path: Path, options: str) -> None:
    assert told(Home(tmp_path / "home", mariadb.create_database(options)).make()) == expected()
