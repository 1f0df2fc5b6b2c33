"""Files of an embedded Chroma on disk: no memory of the process stays in them."""

from __future__ import annotations

import struct
from pathlib import Path

_HEADER, _BLOCKS = "header.bin", ("data_level0.bin", "length.bin")
_COUNT = struct.Struct("<Q")
_COUNT_AT = 4 + 2 * 8
"""Where hnswlib's header holds how many items the blocks have, after version, offset and room."""


def clear_unused(folder: Path) -> None:
    """Overwrite with zeros what hnswlib has written of an index that is still empty.

    It makes room for the first hundred items and writes it to disk as `malloc` gave it out, with
    what the process had there before: an answer of a server, a key. What it writes later is filled.

    Args:
        folder: Of the embedded Chroma; it may be open.
    """
    for header in folder.glob(f"*/{_HEADER}"):
        start = header.read_bytes()[_COUNT_AT:]
        if len(start) < _COUNT.size or _COUNT.unpack_from(start)[0]:
            continue
        for block in map(header.with_name, _BLOCKS):
            with block.open("r+b") as file:
                size = file.seek(0, 2)
                file.seek(0)
                file.write(bytes(size))
