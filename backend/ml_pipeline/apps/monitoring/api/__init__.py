"""The REST API of monitoring: live performance and drift."""
