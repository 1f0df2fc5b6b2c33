"""What the process had in memory does not end up in the index on disk."""

import platform
import subprocess
import sys

import pytest

MARK = "an answer of a server with a key in it;"
PROGRAM = """
import sys
from contextlib import nullcontext
from pathlib import Path

import numpy as np

from labelwright.tools import neighbour_index
from labelwright.tools.pool import Pool, PoolConfig

folder, mark, how = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
if how == "as it comes":
    neighbour_index.fresh_blocks = nullcontext

# Once a block of this size was freed, the memory of smaller ones is kept and used again.
del [bytes(31 * 2**20)][:]
told = [(mark * (3 * 2**20 // len(mark))).encode() for _ in range(40)]
between = [bytes(2_000) for _ in range(40)]
del told

with Pool.open(PoolConfig(), folder, fingerprint="f", dim=64) as pool:
    vectors = np.random.default_rng(0).normal(size=(1_200, 64)).astype(np.float32)
    pool.add([f"i{n}" for n in range(1_200)], ["text"] * 1_200, vectors, "real")
(index,) = folder.glob("chroma/*/data_level0.bin")
print(mark.encode() in index.read_bytes())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="it is glibc that keeps memory")
@pytest.mark.parametrize(("how", "found"), [("fresh", "False"), ("as it comes", "True")])
def test_the_index_on_disk_holds_no_memory_of_the_process(tmp_path, how, found):
    # "as it comes" says that the case is real; once Chroma clears its blocks, `fresh_blocks` can go.
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path / "pool"), MARK, how],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == found
