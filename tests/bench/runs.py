"""A run as the benchmark writes it, made up: every figure is known."""

from __future__ import annotations

from typing import Any

SERVERS = ("empty-asgi", "product-sqlite", "product-postgresql", "fastapi-onnx", "fastapi-sklearn", "tutorial")


def shots(rate: float, *names: str) -> dict[str, Any]:
    """Three rounds on a machine that was slow in the first, and slowest in the last."""
    one = {"p50_ms": 1.0, "p99_ms": 3.0, "cpu_us": 100.0, "database_cpu_us": 10.0, "others": 0.01, "requests": 10}
    rounds = [{**one, "rate": rate * speed} for speed in (0.5, 1.0, 0.1)]
    return {
        "start_s": [1.0, 3.0, 2.0],
        "memory_mb": [100.0],
        "row_bytes": [900.0],
        "shots": dict.fromkeys(names, rounds),
    }


def run() -> dict[str, Any]:
    """SQLite at 9,000 requests/s, PostgreSQL at 4,500, FastAPI + ONNX Runtime at 4,500, the others at 1,000."""
    rates = {"product-sqlite": 9_000, "product-postgresql": 4_500, "fastapi-onnx": 4_500}
    servers = {name: shots(rates.get(name, 1_000), "1", "32") for name in SERVERS}
    feedback = {f"feedback-{name}": shots(1_000, "predictions", "feedback") for name in ("sqlite", "postgresql")}
    return {
        "run": {
            **{"at": "2026-01-01T00:00:00+00:00", "short": True, "rounds": 3, "seconds": 2, "took_s": 99},
            **{"processor": "a processor", "cores": 2, "cores_share_hardware": True, "kernel": "6", "python": "3.12"},
            **{"libraries": {"uvicorn": "1"}, "commit": "abc"},
        },
        "servers": {
            "contestants": servers,
            "ways": {"fastapi-onnx": {"/predict": 4_500.0}},
            "fdatasync_us": [{"growing": 200.0, "overwriting": 100.0}],
            "postgresql": "15",
        },
        "feedback": {"contestants": feedback},
        "workers": {"contestants": {f"workers-{number}": shots(1_000 * number, "32", "64") for number in (1, 2)}},
        "rows": {"counts": [0, 1_000], "contestants": {f"rows-{count}": shots(1_000, "32") for count in (0, 1_000)}},
        "algorithms": {
            "counts": [1, 50],
            "contestants": {f"algorithms-{count}": shots(1_000 - count * 8, "one", "all") for count in (1, 50)},
        },
    }
