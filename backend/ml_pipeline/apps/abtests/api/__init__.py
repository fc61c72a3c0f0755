"""The REST API of A/B tests."""
