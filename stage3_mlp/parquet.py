"""A table of predictions once more as Parquet: typed columns, read at once by pandas, polars or R."""

from __future__ import annotations

import csv as plain
from pathlib import Path

import pyarrow as pa
from pyarrow import csv, parquet

from common.files import written_whole

_TEXTS = frozenset(("clip", "text", "speaker", "label", "predicted", "note"))
_NUMBERS = frozenset(("frame", "row"))


def write_parquet(path: Path, table: Path) -> None:
    """Write the CSV of predictions at ``table`` as Parquet (pyarrow), whole or not at all, a block of rows at a time.

    Times are float64, masks bool, other figures float32, each exactly as the CSV has it; an empty figure is null, an
    empty text stays empty.
    """
    with table.open(encoding="utf-8", newline="") as file:
        names = next(plain.reader(file))
    options = csv.ConvertOptions(column_types={name: _kind(name) for name in names}, strings_can_be_null=False)
    quoted = csv.ParseOptions(newlines_in_values=True)
    with (
        written_whole(path) as partial,
        csv.open_csv(table, parse_options=quoted, convert_options=options) as reader,
        parquet.ParquetWriter(partial, reader.schema, compression="zstd") as writer,
    ):
        for batch in reader:
            writer.write_batch(batch)


def _kind(column: str) -> pa.DataType:
    if column in _TEXTS:
        return pa.string()
    if column in _NUMBERS:
        return pa.int64()
    if column.startswith("present_"):
        return pa.bool_()
    return pa.float64() if column == "time_s" else pa.float32()
