"""The execution layer: signatures, algorithms, runtimes, artifacts. Knows no Django and no HTTP; takes arguments, never settings."""
