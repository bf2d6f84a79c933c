"""The same lines in every format that `--input` takes."""

import gzip
import json
import lzma
from pathlib import Path

import pyarrow
import pyarrow.parquet

COMPRESS = {
    "": bytes,
    ".gz": gzip.compress,
    ".xz": lzma.compress,
    ".zst": lambda content: _zstd(content),
}


def as_text(lines: list[str]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()


def as_json_lines(lines: list[str], column: str = "text") -> bytes:
    records = ({"id": number, column: line} for number, line in enumerate(lines))
    return "".join(
        json.dumps(record, ensure_ascii=number % 2 == 0) + "\n" for number, record in enumerate(records)
    ).encode()


def table(values: list, column: str = "text", kind: pyarrow.DataType | None = None) -> pyarrow.Table:
    return pyarrow.table({"id": list(range(len(values))), column: pyarrow.array(values, kind)})


def write_parquet(path: Path, content: pyarrow.Table) -> None:
    pyarrow.parquet.write_table(content, path, row_group_size=64)


def write_arrow(path: Path, content: pyarrow.Table, stream: bool = True) -> None:
    new = pyarrow.ipc.new_stream if stream else pyarrow.ipc.new_file
    with new(str(path), content.schema) as writer:
        writer.write_table(content, max_chunksize=50)


def write(path: Path, lines: list[str]) -> None:
    """Write `lines` as the name says, with the text in the column `text`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    compression = path.suffix if path.suffix in COMPRESS else ""
    kind = Path(path.name.removesuffix(compression)).suffix
    if kind == ".parquet":
        write_parquet(path, table(lines))
    elif kind == ".arrow":
        write_arrow(path, table(lines))
    else:
        path.write_bytes(COMPRESS[compression](as_json_lines(lines) if kind == ".jsonl" else as_text(lines)))


def _zstd(content: bytes) -> bytes:
    sink = pyarrow.BufferOutputStream()
    with pyarrow.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(content)
    return sink.getvalue().to_pybytes()
