"""Messages: what the process of a job and those that score its chunks send each other. Never a pickle."""

from __future__ import annotations

import msgspec

from ml_pipeline.apps.ml.scoring.cuts import Cut
from ml_pipeline.apps.ml.scoring.jobs import Scored, Terms

# Of what comes from a process with a model in it, which may send anything.
MAX_REPLY_BYTES = 1_000_000_000
# To a child or a template: a chunk at most, and its terms.
MAX_ORDER_BYTES = 100_000_000
# The kind of a reply of a template that cannot be forked with the model in it.
NOT_ALONE = "NotAlone"


class Beginning(msgspec.Struct, frozen=True):
    """The first message to a template: its job, its limits and its children's (see `Limits`), and who started it.

    Where it `is_shared` it loads the model, else each child does.
    """

    terms: Terms
    is_shared: bool
    limits: dict[str, int | None]
    parent_pid: int


class Order(msgspec.Struct, frozen=True):
    """A chunk to score: its bytes, or where there are none the file that has them."""

    cut: Cut
    path: str
    content: bytes | None


class Reply(msgspec.Struct, frozen=True):
    """What became of loading (nothing) or of a chunk; or the error's kind and message."""

    scored: Scored | None = None
    kind: str = ""
    message: str = ""


class Reading(msgspec.Struct, frozen=True):
    """The first message to the reader of a Parquet file: chunks of at most `rows` rows, those behind number `after`.

    With None for `after` only the file's outline is asked for. For the limits and the parent see `Beginning`.
    """

    path: str
    rows: int
    after: int | None
    limits: dict[str, int | None]
    parent_pid: int


class Outline(msgspec.Struct, frozen=True, tag=True):
    """What a Parquet file says of itself: its columns, and of each row group its rows and how many are a chunk."""

    header: tuple[str, ...]
    groups: tuple[tuple[int, int], ...]


class Piece(msgspec.Struct, frozen=True, tag=True):
    """The rows of the file's next chunk as a stream of Arrow, or nothing where it is passed over."""

    content: bytes | None


class Refusal(msgspec.Struct, frozen=True, tag=True):
    """Why the file is refused."""

    message: str


encode = msgspec.msgpack.Encoder().encode
beginning = msgspec.msgpack.Decoder(Beginning).decode
order = msgspec.msgpack.Decoder(Order).decode
reply = msgspec.msgpack.Decoder(Reply).decode
reading = msgspec.msgpack.Decoder(Reading).decode
told = msgspec.msgpack.Decoder(Outline | Piece | Refusal).decode
