import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from labelwright.tools.errors import LockedError, PoolError
from labelwright.tools.pool import Pool, PoolConfig

DIM = 16


def vector_of(number):
    """The vector belongs to the number alone, so that a mix-up of positions shows."""
    return np.random.default_rng(number).normal(size=DIM).astype(np.float32)


def vectors_of(numbers):
    return np.stack([vector_of(number) for number in numbers])


def opened(path, config=None, **changes):
    return Pool.open(config or PoolConfig(), path, **({"fingerprint": "f1", "dim": DIM} | changes))


def fill(pool, numbers, origin="real"):
    numbers = list(numbers)
    ids = [f"{number:05}" for number in numbers]
    pool.add(ids, [f"text {number}" for number in numbers], vectors_of(numbers), origin)
    return ids


def check(pool, count):
    """Ids, vectors, texts and Chroma agree on the first `count` numbers, each there once."""
    numbers = range(count)
    assert pool.ids == [f"{number:05}" for number in numbers]
    np.testing.assert_array_equal(pool.vectors(), vectors_of(numbers))
    assert pool.texts(pool.ids) == [f"text {number}" for number in numbers]
    asked = sorted({0, count // 2, count - 1})
    found = pool.neighbours(vectors_of(asked), 1)
    assert [near[0][0] for near in found] == [f"{number:05}" for number in asked]
    assert pool._index.level().count() == count


def test_items_keep_their_order_across_reopening(tmp_path):
    with opened(tmp_path / "pool") as pool:
        assert len(pool) == 0
        assert pool.vectors().shape == (0, DIM)
        assert pool.neighbours(vectors_of([1]), 3) == [[]]
        fill(pool, range(30))
        fill(pool, range(30, 40))
    with opened(tmp_path / "pool") as pool:
        assert "00007" in pool
        assert "7" not in pool
        assert pool.index("00039") == 39
        assert pool.texts(["00009", "00003", "00009"]) == ["text 9", "text 3", "text 9"]
        check(pool, 40)


def test_ids_that_are_there_are_skipped(tmp_path):
    with opened(tmp_path) as pool:
        fill(pool, range(5))
        fill(pool, [3, 5, 4, 5, 6])
        check(pool, 7)
        pool.add([], [], np.empty((0, DIM), np.float32))
        check(pool, 7)


def test_odd_ids_and_texts(tmp_path):
    ids = ["007", "7", " 7", "né\u2028", "'; DROP TABLE items; --", "x" * 5_000]
    texts = ["", '"q"\n\r\n', "日本 😀", "a" * 1_000_000, "{{ x }}", "\ufeff"]
    with opened(tmp_path) as pool:
        pool.add(ids, texts, vectors_of(range(6)))
        assert pool.texts(ids) == texts
    with opened(tmp_path) as pool:
        assert pool.ids == ids
        assert [near[0][0] for near in pool.neighbours(vectors_of(range(6)), 1)] == ids


def test_neighbours_are_cosines_and_the_nearest_come_first(tmp_path):
    with opened(tmp_path) as pool:
        fill(pool, range(300))
        queries = vectors_of(range(290, 600)) * 5
        found = pool.neighbours(queries, 10)
        unit = pool.vectors() / np.linalg.norm(pool.vectors(), axis=1, keepdims=True)
        exact = queries / np.linalg.norm(queries, axis=1, keepdims=True) @ unit.T
        assert len(found) == 310
        for row, near in zip(exact, found, strict=True):
            similarity = [value for _, value in near]
            assert similarity == sorted(similarity, reverse=True)
            expected = [row[pool.index(item_id)] for item_id, _ in near]
            np.testing.assert_allclose(similarity, expected, atol=1e-5)
        best = [near[0][0] for near in found]
        assert best == [pool.ids[i] for i in exact.argmax(axis=1)]
        assert [len(near) for near in pool.neighbours(queries[:2], 1_000)] == [300, 300]


def test_origins(tmp_path):
    with opened(tmp_path) as pool:
        fill(pool, range(3))
        fill(pool, range(3, 5), "synthetic")
        assert pool.origins().tolist() == [False, False, False, True, True]
    with opened(tmp_path) as pool:
        assert pool.origins().tolist() == [False, False, False, True, True]
        pool.rebuild()
        stored = pool._index.level().get(include=["metadatas", "documents"])
        assert dict(zip(stored["ids"], stored["metadatas"] or [], strict=True)) == {
            "00000": None,
            "00001": None,
            "00002": None,
            "00003": {"origin": "synthetic"},
            "00004": {"origin": "synthetic"},
        }
        assert sorted(stored["documents"] or []) == [f"text {i}" for i in range(5)]


def test_vectors_can_not_be_written_and_older_maps_stay_valid(tmp_path):
    with opened(tmp_path) as pool:
        fill(pool, range(3))
        before = pool.vectors()
        with pytest.raises(ValueError, match="read-only"):
            before[0] = 0
        fill(pool, range(3, 9))
        np.testing.assert_array_equal(before, vectors_of(range(3)))
        check(pool, 9)


def test_several_threads(tmp_path):
    with opened(tmp_path) as pool:
        fill(pool, range(50))
        errors = []

        def work(seed):
            try:
                for i in range(10):
                    pool.texts(pool.ids[:50])
                    pool.neighbours(vectors_of([i]), 3)
                    fill(pool, [100 + 10 * seed + i])
            except Exception as error:
                errors.append(error)

        threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert errors == []
        numbers = [int(item_id) for item_id in pool.ids]
        assert sorted(numbers) == [*range(50), *range(100, 140)]
        np.testing.assert_array_equal(pool.vectors(), vectors_of(numbers))


# ---- refusals


def test_another_embedder_is_refused_and_both_are_named(tmp_path):
    opened(tmp_path).close()
    with pytest.raises(PoolError, match=r"made with fingerprint 'f1'.*this run has 'f2'"):
        opened(tmp_path, fingerprint="f2")
    with pytest.raises(PoolError, match=r"made with dim '16'.*this run has '8'"):
        opened(tmp_path, dim=8)
    with pytest.raises(PoolError, match=r"collection 'labelwright-.*configuration says 'other'"):
        opened(tmp_path, PoolConfig(collection="other"))
    opened(tmp_path).close()


def test_one_owner(tmp_path):
    with opened(tmp_path), pytest.raises(LockedError, match=f"process {os.getpid()} "):
        opened(tmp_path)


def test_unusable_vectors_and_lengths_are_refused_and_nothing_is_kept(tmp_path):
    vectors = vectors_of(range(3))
    with opened(tmp_path) as pool:
        for bad in (np.nan, np.inf, 0):
            spoilt = vectors.copy()
            spoilt[1] = bad
            with pytest.raises(PoolError, match="vector of item 'b'"):
                pool.add(["a", "b", "c"], ["x", "y", "z"], spoilt)
        with pytest.raises(PoolError, match="Got 3 ids, 2 texts"):
            pool.add(["a", "b", "c"], ["x", "y"], vectors)
        with pytest.raises(PoolError, match="vectors of 16 components"):
            pool.add(["a", "b", "c"], ["x", "y", "z"], vectors[:, :8])
        with pytest.raises(PoolError, match="no item 'a'"):
            pool.texts(["a"])
        assert len(pool) == 0


@pytest.mark.parametrize("url", ["localhost:8000", "ftp://x", "http://", "http://u:p@host"])
def test_server_addresses(url):
    with pytest.raises(ValidationError, match="expected the address of a server"):
        PoolConfig(url=url)


def test_a_server_that_does_not_answer(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(PoolError, match="Chroma could not open the collection"):
        opened(tmp_path, PoolConfig(url=f"http://127.0.0.1:{port}"))
    opened(tmp_path).close()


# ---- damage


def test_a_short_vector_file_is_named(tmp_path):
    with opened(tmp_path) as pool:
        fill(pool, range(3))
    os.truncate(tmp_path / "vectors.f32", 100)
    with pytest.raises(PoolError, match=r"vectors\.f32 has 100 bytes, 192 are expected"):
        opened(tmp_path)


def test_a_table_that_is_no_database(tmp_path):
    opened(tmp_path).close()
    (tmp_path / "items.sqlite").write_bytes(b"no database" * 1_000)
    with pytest.raises(PoolError, match=r"items\.sqlite can not be read"):
        opened(tmp_path)


def test_a_lost_or_damaged_index_is_made_again(tmp_path):
    with opened(tmp_path) as pool:
        fill(pool, range(20))
    (tmp_path / "chroma" / "chroma.sqlite3").write_bytes(b"no database" * 1_000)
    with opened(tmp_path) as pool:
        with pytest.raises(PoolError, match="doctor --rebuild"):
            pool.neighbours(vectors_of([1]), 1)
        pool.rebuild()
        check(pool, 20)


def test_items_missing_in_the_middle_of_the_index_are_added(tmp_path):
    with opened(tmp_path) as pool:
        fill(pool, range(20))
        pool._index.level().delete(ids=["00003", "00011"])
        check(pool, 20)


def test_strangers_in_the_index_are_refused(tmp_path):
    with opened(tmp_path) as pool:
        fill(pool, range(5))
        collection = pool._index.level()
        collection.add(ids=["x"], embeddings=vectors_of([99]))
        with pytest.raises(PoolError, match="holds 1 items that are not in this pool"):
            pool.neighbours(vectors_of([1]), 1)
        collection.delete(ids=["00001", "00002"])
        with pytest.raises(PoolError, match="holds 1 items that are not in this pool"):
            fill(pool, [5])
        pool.rebuild()
        check(pool, 6)


# ---- kills

# Adds batches for ever; at one point of the third batch the process kills itself.
CHILD = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import test_pool as t
from labelwright.tools import neighbour_index, snapshot

def die():
    os.kill(os.getpid(), signal.SIGKILL)

with t.opened(Path(sys.argv[2])) as pool:
    point = sys.argv[3]
    start = len(pool)
    for batch in range(100_000):
        if batch == 2 and point == "vectors written":
            sync = os.fsync
            os.fsync = lambda fd: (sync(fd), die())
        if batch == 2 and point == "vectors half written":
            os.fsync = lambda fd: (os.ftruncate(fd, os.fstat(fd).st_size - 70), die())
        if batch == 2 and point == "snapshot committed":
            neighbour_index.NeighbourIndex.level = lambda self: die()
        if batch == 2 and point == "chroma written":
            send = type(pool._index.level()).add
            type(pool._index.level()).add = lambda *a, **k: (send(*a, **k), die())
        t.fill(pool, range(start + batch * 300, start + batch * 300 + 300))
        print(len(pool), flush=True)
"""


def run_until_killed(path, point, kill_after=None):
    """Return how many items were acknowledged before the process died."""
    here = str(Path(__file__).parent)
    acknowledged = 0
    with subprocess.Popen(
        [sys.executable, "-c", CHILD, here, str(path), point], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            acknowledged = int(line)
            if acknowledged == kill_after:
                process.kill()
        assert process.wait() == -signal.SIGKILL
    return acknowledged


@pytest.mark.parametrize(
    ("point", "survive"),
    [
        ("vectors half written", 600),
        ("vectors written", 600),
        ("snapshot committed", 900),
        ("chroma written", 900),
    ],
)
def test_a_kill_loses_nothing_acknowledged_and_doubles_nothing(tmp_path, point, survive):
    assert run_until_killed(tmp_path, point) == 600
    with opened(tmp_path) as pool:
        check(pool, survive)
        fill(pool, range(1_200))
        check(pool, 1_200)


def test_a_kill_from_outside(tmp_path):
    acknowledged = run_until_killed(tmp_path, "outside", kill_after=1_500)
    with opened(tmp_path) as pool:
        assert len(pool) >= acknowledged
        assert len(pool) % 300 == 0
        check(pool, len(pool))


# ---- server


@pytest.fixture
def server(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    chroma = Path(sys.executable).with_name("chroma")
    with subprocess.Popen(
        [chroma, "run", "--path", tmp_path / "server", "--host", "127.0.0.1", "--port", str(port)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if "listening" in line:
                break
        # The server blocks once nobody reads what it logs.
        drain = threading.Thread(target=process.stdout.read)
        drain.start()
        yield f"http://127.0.0.1:{port}"
        process.kill()
        drain.join()


def test_a_server_holds_the_collections_of_several_pools(tmp_path, server):
    config = PoolConfig(url=server)
    with opened(tmp_path / "a", config) as one, opened(tmp_path / "b", config) as two:
        fill(one, range(10))
        fill(two, range(20))
        check(one, 10)
        check(two, 20)
        assert not (tmp_path / "a" / "chroma").exists()
        one.rebuild()
        check(one, 10)
    named = PoolConfig(url=server, collection="mine")
    with opened(tmp_path / "c", named) as pool:
        fill(pool, range(5))
    with opened(tmp_path / "c", named) as pool:
        check(pool, 5)
    with pytest.raises(PoolError, match="'mine' holds 5 items that are not in this pool"):
        opened(tmp_path / "d", named)
