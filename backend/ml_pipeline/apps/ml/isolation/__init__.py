"""Isolation: native models run in child processes, so that what loops, grows or crashes harms nobody but itself."""
