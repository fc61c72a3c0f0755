"""The execution layer: signatures, algorithms, runtimes, artifacts. Knows no Django, HTTP or settings."""
