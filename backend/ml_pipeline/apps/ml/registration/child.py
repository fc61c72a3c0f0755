"""The disposable child process of one registration.

    python -P -m ml_pipeline.apps.ml.registration.child FOLDER PIPE LIMITS

It limits itself before it looks at anything, examines the submission in FOLDER and writes a line of JSON to PIPE at
each step and at the end: `{"step": …}`, `{"done": true}` or `{"refused": …, "details": …}`, which where nobody foresaw
it has a `"traceback"` too.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import traceback
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any

from ml_pipeline.apps.ml.isolation import limits
from ml_pipeline.apps.ml.isolation.limits import Limits
from ml_pipeline.apps.ml.isolation.template import LIBRARIES
from ml_pipeline.apps.ml.registration.submission import Submission, work_files
from ml_pipeline.errors import InvalidArtifact

# Not everywhere installed.
EXTRAS = ("lightgbm", "xgboost")
MAX_MESSAGE = 2_000
MAX_TRACEBACK = 10_000


class Pipe:
    """The way back to the server."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def tell(self, **facts: Any) -> None:
        """One line. Details of up to a hundred complaints are part of a refusal."""
        os.write(self._descriptor, json.dumps(facts).encode() + b"\n")

    def step(self, name: str) -> None:
        """The step that begins now."""
        self.tell(step=name)


def main() -> None:
    """Examines, and says what came of it. Whatever goes wrong in a made-up model is a refusal."""
    folder, pipe = Path(sys.argv[1]), Pipe(int(sys.argv[2]))
    # Single-threaded still: nothing that starts threads was imported.
    limits.deny_network()
    limits.apply(Limits(**json.loads(sys.argv[3])))
    pipe.step("starting")
    warnings.simplefilter("ignore")
    try:
        # Part of the start: each later step has its time for what was sent alone.
        _import_libraries()
        from ml_pipeline.apps.ml.registration import examination

        submission = Submission.from_json(work_files(folder)[0].read_text(encoding="utf-8"))
        examination.examine(submission, folder, pipe.step)
    except InvalidArtifact as error:
        pipe.tell(refused=error.message[:MAX_MESSAGE], details=error.details)
    except MemoryError:
        pipe.tell(refused="It needs more memory than a registration may use.", details=None)
    except RecursionError:
        pipe.tell(refused="It is nested too deeply.", details=None)
    # The outermost edge: a model runs here, and may raise anything.
    except Exception as error:  # noqa: BLE001
        said = "; ".join(f"{type(one).__name__}: {str(one)[:300]}" for one in (error, error.__cause__) if one)
        pipe.tell(refused=said, details=None, traceback=traceback.format_exc()[-MAX_TRACEBACK:])
    else:
        pipe.tell(done=True)


def _import_libraries() -> None:
    for name in LIBRARIES:
        importlib.import_module(name)
    for name in EXTRAS:
        with suppress(ImportError):
            importlib.import_module(name)


if __name__ == "__main__":
    main()
