"""The REST API of batch jobs."""
