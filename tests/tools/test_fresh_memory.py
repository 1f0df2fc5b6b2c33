"""What the process had in memory does not end up in the index on disk."""

import subprocess
import sys

import pytest

MARK = "an answer of a server with a key in it;"
PROGRAM = """
import sys
import threading
from contextlib import nullcontext
from pathlib import Path

import numpy as np

from labelwright.tools import neighbour_index
from labelwright.tools.pool import Pool, PoolConfig

folder, mark, how = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
if how == "as it comes":
    neighbour_index.fresh_memory = nullcontext

# Chroma's threads take over the memory of threads that have ended, as those of requests.
def talk():
    del [bytes(31 * 2**20)][:]  # from now on, smaller blocks are kept when they are freed
    told = [[(mark * (2**22 // len(mark))).encode(), bytes(2**16)] for _ in range(6)]
    meet.wait()
    for pair in told:
        del pair[0]
    kept.extend(told)


kept, meet = [], threading.Barrier(16)
threads = [threading.Thread(target=talk) for _ in range(16)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()

with Pool.open(PoolConfig(), folder, fingerprint="f", dim=64) as pool:
    vectors = np.random.default_rng(0).normal(size=(300, 64)).astype(np.float32)
    pool.add([f"i{n}" for n in range(300)], ["text"] * 300, vectors, "real")
(index,) = folder.glob("chroma/*/data_level0.bin")
print(mark.encode() in index.read_bytes())
"""


@pytest.mark.parametrize(("how", "found"), [("fresh", "False"), ("as it comes", "True")])
def test_the_index_on_disk_holds_no_memory_of_the_process(tmp_path, how, found):
    # "as it comes" says that the case is real: once Chroma clears its memory, ours can go.
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path / "pool"), MARK, how],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == found
