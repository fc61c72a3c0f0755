"""Why a run is worth nothing. Imports nothing."""

from __future__ import annotations


class RunFailed(Exception):
    """The run is over: a wrong reply, a refused request, a server that did not start, a tool that is not there."""
