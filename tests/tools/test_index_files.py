"""What the process had in memory does not end up in the index on disk."""

import os
import subprocess
import sys

import pytest

PROGRAM = """
import sys
from pathlib import Path

import numpy as np

from labelwright.tools import neighbour_index
from labelwright.tools.pool import Pool, PoolConfig

folder, left_by_others, how = Path(sys.argv[1]), b"Z" * 64, sys.argv[2]
if how == "as it comes":
    neighbour_index.clear_unused = lambda _: None
vectors = np.random.default_rng(0).normal(size=(2_500, 64)).astype(np.float32)


def add(pool, start, stop):
    names = [f"i{n}" for n in range(start, stop)]
    pool.add(names, ["text"] * len(names), vectors[start:stop], "real")
    found = pool.neighbours(vectors[[0, stop - 1]], 1)
    assert [near[0][0] for near in found] == ["i0", f"i{stop - 1}"]


def files():
    for file in folder.rglob("chroma/*/*"):
        if left_by_others in file.read_bytes():
            print(file.name, "of", len(vectors) if len(pool) > 1_000 else "few")


for start, stop in ((0, 20), (20, 300), (300, 2_500)):
    with Pool.open(PoolConfig(), folder, fingerprint="f", dim=64) as pool:
        add(pool, start, stop)
    files()
"""
# Every block that is given out is full of the letter Z, as if another had left it there.
MEMORY = {"GLIBC_TUNABLES": "glibc.malloc.perturb=165:glibc.malloc.tcache_count=0"}


@pytest.mark.parametrize(
    ("how", "found"),
    [("cleared", set()), ("as it comes", {"data_level0.bin of few", "length.bin of few"})],
)
def test_the_index_on_disk_holds_no_memory_of_the_process(tmp_path, how, found):
    # "as it comes" says that the case is real: once Chroma clears its memory, we need not.
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path / "pool"), how],
        env=os.environ | MEMORY,
        capture_output=True,
        text=True,
        check=True,
    )
    assert set(done.stdout.splitlines()) == found
