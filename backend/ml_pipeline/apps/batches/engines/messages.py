"""Messages: what goes to the process that talks to the cluster, and on to the nodes. Chunks go as in `scoring`."""

from __future__ import annotations

import msgspec

from ml_pipeline.apps.ml.scoring.jobs import Terms


class Job(msgspec.Struct, frozen=True):
    """What every chunk of a job has in common: its terms, the limits (see `Limits`) and the deadline of whoever scores.

    `versions` are those of the machine that asks (see `versions.found`).
    """

    terms: Terms
    limits: dict[str, int | None]
    deadline_s: float
    versions: dict[str, str]


class Beginning(msgspec.Struct, frozen=True):
    """The first message to the process: where the cluster is, and the job."""

    address: str
    job: Job


class Standing(msgspec.Struct, frozen=True):
    """Its answer: how many chunks the cluster takes at once; or an error's kind and message."""

    room: int = 0
    kind: str = ""
    message: str = ""


encode = msgspec.msgpack.Encoder().encode
job = msgspec.msgpack.Decoder(Job).decode
beginning = msgspec.msgpack.Decoder(Beginning).decode
standing = msgspec.msgpack.Decoder(Standing).decode
