"""Scoring: a file of rows in chunks, each answered by itself from the job's terms and the chunk's bytes."""
