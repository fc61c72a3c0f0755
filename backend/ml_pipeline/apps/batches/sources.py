"""Sources: a job's file on this machine, plain, and how it is cut."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from ml_pipeline.apps.batches import files
from ml_pipeline.apps.batches.models import BatchJob, Format
from ml_pipeline.apps.ml.scoring import cuts, dialects, parquet, sources
from ml_pipeline.apps.ml.scoring.cuts import Cut
from ml_pipeline.apps.ml.scoring.dialects import Dialect
from ml_pipeline.apps.ml.scoring.jobs import check_names
from ml_pipeline.apps.ml.signature import Signature
from ml_pipeline.errors import MalformedInput

# To what a compressed file may expand.
MAX_BYTES = 10_000_000_000
# Of a chunk that is logged: what the log has of a row is several times the row.
LOGGED_ROWS = 12_500
_CUT_OTHERWISE = "The file is not cut into chunks as it was when the job began: send it once more."


class Source(NamedTuple):
    """A file that can be cut, into chunks of so many rows. Of Parquet the dialect has the columns alone."""

    path: Path
    is_parquet: bool
    dialect: Dialect
    rows: int = cuts.ROWS

    def cuts(self) -> Iterator[Cut]:
        """All chunks, again the same each time. Raises MalformedInput when it comes to what is none.

        There are few: each but the last of its row group or of some bytes has `rows` rows, and a file has
        `ids.MAX_ROWS` at most.
        """
        if self.is_parquet:
            yield from parquet.of_outline(parquet.outline(self.path, rows=self.rows))
        else:
            yield from cuts.of_csv(self.path, self.dialect, rows=self.rows)

    def contents(self, waiting: list[Cut]) -> Iterator[tuple[Cut, bytes | None]]:
        """The chunks `waiting`, which are the last ones, with their bytes where these are no part of the file.

        Raises MalformedInput where Parquet is not cut as they say: another release may do that otherwise.
        """
        if not waiting:
            return
        if self.is_parquet:
            planned = iter(waiting)
            for cut, content in parquet.contents(self.path, rows=self.rows, after=waiting[0].number - 1):
                if cut != next(planned, None):
                    raise MalformedInput(_CUT_OTHERWISE)
                yield cut, content
            if next(planned, None) is not None:
                raise MalformedInput(_CUT_OTHERWISE)
        else:
            yield from ((cut, None) for cut in waiting)


def opened(job: BatchJob, folder: Path) -> Source:
    """The job's file; what has to be made for it is in `folder`. Raises MalformedInput and BodyTooLarge."""
    sent = files.fetched(files.input_name(job.uid), folder / "input")
    path = sources.made_plain(sent, folder / "plain", encoding=job.encoding or None, most_bytes=MAX_BYTES)
    is_parquet = job.input_format == Format.PARQUET
    if sources.is_parquet(path) != is_parquet:
        raise MalformedInput(f"The file is not {Format(job.input_format).label}.")
    dialect = Dialect(parquet.header(path), ",", 0, 1) if is_parquet else dialects.read(path)
    signature = Signature.from_json(job.parent_mlalgorithm.signature)
    dialects.check_features(dialect.header, signature)
    check_names(dialect.header, signature, probabilities=job.probabilities)
    return Source(path, is_parquet, dialect, LOGGED_ROWS if job.log_requests else cuts.ROWS)
