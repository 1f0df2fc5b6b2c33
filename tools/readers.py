"""Reading of input files (CSV, TSV, JSONL, Parquet) as a stream of rows and rejected rows.

Nothing is lost silently: what can not be used comes out as a `Rejected` with its line and reason.
"""

import codecs
import csv
import hashlib
import json
import math
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Self, TextIO

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from .errors import DataError
from .task import TaskConfig, normalised_label, render_text, template_fields

Format = Literal["csv", "tsv", "jsonl", "parquet"]

_SUFFIXES: dict[str, Format] = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
    ".pq": "parquet",
}
# One CSV field. It also bounds what a quote that is never closed can swallow.
_LARGEST_FIELD = 64 * 2**20
_PARQUET_BATCH = 32
_REASONS = 3
_ESCAPED_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


class DataConfig(BaseModel):
    """Where the rows are and which columns are special."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: Path = Field(description="The input file.")
    format: Format | None = Field(default=None, description="File format; by suffix if not given.")
    id: str | None = Field(
        default=None, description="Column with a unique id; derived from the text if not given."
    )
    gold: str | None = Field(
        default=None, description="Column with the true label. Only evaluation ever sees it."
    )
    encoding: str = Field(default="utf-8", description="Encoding of CSV, TSV and JSONL files.")

    @field_validator("encoding")
    @classmethod
    def _known_encoding(cls, encoding: str) -> str:
        try:
            codecs.lookup(encoding)
        except LookupError as error:
            raise ValueError(
                f"unknown encoding {encoding!r}: write e.g. utf-8 or cp1252"
            ) from error
        return encoding

    @model_validator(mode="after")
    def _columns_differ(self) -> Self:
        if self.id is not None and self.id == self.gold:
            raise ValueError(f"id and gold are the same column {self.id!r}: name two columns")
        return self


@dataclass(frozen=True)
class Row:
    """One usable input row.

    Attributes:
        line: Line on which the row starts, from 1; in Parquet the number of the row.
        id: Unique id, the exact text of the id column or derived from the text.
        text: The rendered text, without outer white space.
        fields: All columns but gold, ready for JSON.
        gold: True label in the spelling of the label set, or None.
    """

    line: int
    id: str
    text: str
    fields: dict[str, object]
    gold: str | None


@dataclass(frozen=True)
class Rejected:
    """One input row that can not be used, with the reason for the reader of the report."""

    line: int
    reason: str
    id: str | None = None


@dataclass
class ReadReport:
    """What a pass over the file saw, with the first reasons; filled as `read_rows` is iterated."""

    rows: int = 0
    rejected: int = 0
    reasons: list[str] = field(default_factory=list)
    with_gold: int = 0
    unknown_gold: Counter[str] = field(default_factory=Counter)


Record = tuple[int, dict[str, object]]


def read_rows(
    data: DataConfig, task: TaskConfig, report: ReadReport | None = None
) -> Iterator[Row | Rejected]:
    """Read a file as a stream; memory holds one batch and the ids seen.

    Without an id column the id is the SHA-256 of the text, shortened to 12 hex digits; later rows
    of the same text get "-2", "-3", ..., so appending rows changes no id. A gold value outside the
    label set leaves the row without gold and is counted in `report.unknown_gold`.

    Args:
        data: File and columns.
        task: Text template and label set.
        report: Filled while the rows are read, if given.

    Yields:
        A `Row`, or a `Rejected` for what can not be used, in the order of the file.

    Raises:
        DataError: No such file, unknown suffix, missing column, or no usable row at all.
    """
    report = ReadReport() if report is None else report
    to_row = _row_builder(data, task, report)
    for record in _records(data, task):
        result = record if isinstance(record, Rejected) else to_row(*record)
        if isinstance(result, Rejected):
            report.rejected += 1
            if len(report.reasons) < _REASONS:
                report.reasons.append(f"line {result.line}: {result.reason}")
        else:
            report.rows += 1
        yield result
    if not report.rows:
        first = f"The first: {report.reasons[0]}" if report.reasons else "Expected a row of data."
        raise DataError(f"{data.path} has no usable row ({report.rejected} rejected). {first}")
    if data.gold is not None and not report.with_gold:
        raise DataError(
            f"{data.path}: no row has a value in the gold column {data.gold!r}. Correct `gold`, or "
            "leave it out when there are no true labels."
        )


def _row_builder(
    data: DataConfig, task: TaskConfig, report: ReadReport
) -> Callable[[int, dict[str, object]], Row | Rejected]:
    """Return the function that makes a `Row` of a record; it remembers the ids it has given out."""
    render = render_text(task.text)
    labels = {normalised_label(name): name for name in task.label_names}
    first_lines: dict[str, int] = {}
    # Digests as 48-bit integers: a third of the memory of their hex text at a million rows.
    copies: dict[int, int] = {}

    def gold_label(value: object) -> str | None:
        written = _as_text(value)
        if written is None or not written.strip():
            return None
        report.with_gold += 1
        label = labels.get(normalised_label(written))
        if label is None:
            report.unknown_gold[written] += 1
        return label

    def derived_id(text: str) -> str:
        digest = hashlib.sha256(text.encode()).hexdigest()[:12]
        number = int(digest, 16)
        copies[number] = count = copies.get(number, 0) + 1
        return digest if count == 1 else f"{digest}-{count}"

    def build(line: int, fields: dict[str, object]) -> Row | Rejected:
        gold = fields.pop(data.gold, None) if data.gold is not None else None
        item_id = None
        if data.id is not None:
            item_id = _as_text(fields.get(data.id))
            if item_id is None or not item_id.strip():
                return Rejected(line, f"the id column {data.id!r} is empty or missing")
            if fault := _fault(item_id):
                return Rejected(line, f"the id has {fault}")
            if item_id in first_lines:
                first = first_lines[item_id]
                return Rejected(line, f"the id {item_id!r} was on line {first} before", item_id)
        try:
            text = render(fields)
        except DataError as error:
            return Rejected(line, str(error), item_id)
        if fault := _fault(text):
            return Rejected(line, f"the text has {fault}", item_id)
        if not text:
            return Rejected(line, "the text is empty", item_id)
        if item_id is None:
            item_id = derived_id(text)
        else:
            first_lines[item_id] = line
        return Row(line, item_id, text, fields, gold_label(gold))

    return build


def _as_text(value: object) -> str | None:
    """Return a scalar as text: None for null, JSON's spelling for booleans, `str` for the rest."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _json_able(value: object) -> object:
    """Return a value for standard JSON: NaN is None, bytes are UTF-8 or hex, dates are text."""
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _json_able(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_json_able(item) for item in value]
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            return value.hex()
    return str(value)


def _fault(text: str) -> str | None:
    """Return what makes a text unusable for the stores (SQLite, Chroma, JSON), or None."""
    if "\x00" in text:
        return "a NUL byte"
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            return "bytes that are not text in the file's encoding (or half a surrogate pair)"
    return None


def _records(data: DataConfig, task: TaskConfig) -> Iterator[Record | Rejected]:
    kind = data.format or _SUFFIXES.get(data.path.suffix.lower())
    if kind is None:
        raise DataError(
            f"{data.path}: unknown suffix {data.path.suffix!r}. Expected one of "
            f"{', '.join(_SUFFIXES)}; or set `format` to csv, tsv, jsonl or parquet."
        )
    if not data.path.is_file():
        problem = "is not a file" if data.path.exists() else "does not exist"
        raise DataError(f"{data.path} {problem}: set `path` to the input file.")
    needed = {"id": data.id, "gold": data.gold}
    wanted = {name: what for what, name in needed.items() if name is not None}
    for name in sorted(template_fields(task.text) - {data.gold}):
        wanted.setdefault(name, "text template")
    if kind == "jsonl":
        return _json_lines(data)
    if kind == "parquet":
        return _parquet(data, wanted)
    return _separated(data, wanted, "," if kind == "csv" else "\t")


def _check_columns(path: Path, columns: list[str], wanted: Mapping[str, str]) -> None:
    """Refuse a table without a wanted column (name -> what asks for it) or with a name twice."""
    found = ", ".join(repr(column) for column in columns) or "none"
    for name, what in wanted.items():
        if name not in columns:
            raise DataError(
                f"{path} has no column {name!r} (asked for by: {what}). Columns found: {found}. "
                f"Correct the {what}, or the header of the file."
            )
    twice = [column for column, count in Counter(columns).items() if count > 1]
    if twice:
        raise DataError(f"{path}: the column {twice[0]!r} is there twice. Rename one of them.")


def _opened(data: DataConfig, newline: str) -> TextIO:
    # Spreadsheets put a byte-order mark before UTF-8; it is no part of the first column's name.
    is_utf8 = codecs.lookup(data.encoding).name == "utf-8"
    encoding = "utf-8-sig" if is_utf8 else data.encoding
    # surrogateescape: an undecodable byte spoils its own row (see _fault), not the whole file.
    return data.path.open(encoding=encoding, errors="surrogateescape", newline=newline)


def _separated(
    data: DataConfig, wanted: Mapping[str, str], delimiter: str
) -> Iterator[Record | Rejected]:
    # The limit is one number for the whole process; it is only ever raised.
    csv.field_size_limit(max(csv.field_size_limit(), _LARGEST_FIELD))
    with _opened(data, newline="") as file:
        reader = csv.reader(file, delimiter=delimiter, strict=True)
        columns: list[str] | None = None
        while True:
            line = reader.line_num + 1
            try:
                cells = next(reader)
            except StopIteration:
                break
            except csv.Error as error:
                last = reader.line_num
                extent = f" (lines {line} to {last})" if last > line else ""
                if columns is None:
                    raise DataError(f"{data.path}, line {line}: bad header: {error}") from error
                yield Rejected(line, f"broken quoting: {error}{extent}")
                continue
            if not cells:
                continue
            if columns is None:
                columns = cells
                _check_columns(data.path, columns, wanted)
            elif len(cells) != len(columns):
                yield Rejected(line, f"{len(cells)} columns instead of {len(columns)}")
            elif fault := _fault("".join(cells)):
                yield Rejected(line, f"the row has {fault}")
            else:
                yield line, dict(zip(columns, cells, strict=True))
    if columns is None:
        raise DataError(f"{data.path} is empty. Expected a header line and rows.")


def _json_lines(data: DataConfig) -> Iterator[Record | Rejected]:
    def finite(number: str) -> float | None:
        value = float(number)
        return value if math.isfinite(value) else None

    # newline="\n": a line separator inside a string (U+2028, a bare CR) ends no line.
    with _opened(data, newline="\n") as file:
        for line, written in enumerate(file, start=1):
            if not written.strip():
                continue
            if fault := _fault(written):
                yield Rejected(line, f"the line has {fault}")
                continue
            try:
                value = json.loads(written, parse_float=finite, parse_constant=lambda _: None)
                if _ESCAPED_SURROGATE.search(written):
                    json.dumps(value, ensure_ascii=False).encode()
            except UnicodeEncodeError:
                yield Rejected(line, "half a surrogate pair (\\ud800 to \\udfff) in a string")
            except (ValueError, RecursionError) as error:
                yield Rejected(line, f"not valid JSON: {error}")
            else:
                if isinstance(value, dict):
                    yield line, value
                else:
                    kind = type(value).__name__
                    yield Rejected(line, f"expected a JSON object ({{...}}), found a {kind}")


def _parquet(data: DataConfig, wanted: Mapping[str, str]) -> Iterator[Record | Rejected]:
    import pyarrow
    from pyarrow import parquet

    try:
        with parquet.ParquetFile(data.path) as file:
            columns = list(file.schema_arrow.names)
            _check_columns(data.path, columns, wanted)
            line = 0
            # A text that is stored once may stand in every row, and a small file unpack to more
            # than there is memory: few rows at a time, and their cells one row after the other.
            for batch in file.iter_batches(batch_size=_PARQUET_BATCH):
                for values in zip(*map(_parquet_cells, batch.columns), strict=True):
                    line += 1
                    failed = next((v for v in values if isinstance(v, Exception)), None)
                    if failed is not None:
                        yield Rejected(line, f"a value can not be read: {failed}")
                    else:
                        yield line, dict(zip(columns, values, strict=True))
    except (pyarrow.ArrowException, OSError) as error:
        raise DataError(f"{data.path} can not be read as Parquet: {error}") from error


def _parquet_cells(column: Any) -> Iterator[object]:
    """Yield the cells of one Arrow array as JSON-able values, the exception where that fails."""
    import pyarrow
    from pyarrow import types

    kind = column.type
    if getattr(kind, "unit", None) == "ns":
        # Nanoseconds become Python objects only through pandas, which is not required.
        if types.is_timestamp(kind):
            target = pyarrow.timestamp("us", tz=kind.tz)
        else:
            target = pyarrow.duration("us") if types.is_duration(kind) else pyarrow.time64("us")
        column = column.cast(target, safe=False)
    for cell in column:
        try:
            value = _json_able(cell.as_py())
        # One value that Python can not hold (bad UTF-8, year 10000) rejects its row only.
        except Exception as error:
            value = error
        yield value
