"""The Python client: every call is one request to a server's REST API. Needs httpx, and no library of the server's."""

from ml_pipeline.client.client import Client

__all__ = ["Client"]
