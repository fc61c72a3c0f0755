"""Runs `life_machine` on a home, in a process of its own, so that its database is the home's."""

from __future__ import annotations

import sys

from homes import Home

# Lives of a run that is to do all of them, and beside other tests.
ALL, FEWER = 200, 40
_PROGRAM = """
import sys
import django
django.setup()
sys.path.insert(0, "tests/endpoints")
import life_machine
life_machine.run({lives})
"""


def live(home: Home, *, whole: bool) -> None:
    """Fails with what the machine printed where product and contract part."""
    done = home.run(sys.executable, "-c", _PROGRAM.format(lives=ALL if whole else FEWER), check=False)
    assert done.returncode == 0, done.stdout + done.stderr
