"""Runs `life_machine` on a home, in a process of its own, so that its database is the home's."""

from __future__ import annotations

import sys

from homes import Home

_PROGRAM = """
import sys
import django
django.setup()
sys.path.insert(0, "tests/endpoints")
import life_machine
life_machine.run()
"""


def live(home: Home) -> None:
    """Fails with what the machine printed where product and contract part."""
    done = home.run(sys.executable, "-c", _PROGRAM, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
