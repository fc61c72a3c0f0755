"""Engines: where the chunks of a job are scored, on this machine or on a Ray cluster. Nothing here knows Django."""
