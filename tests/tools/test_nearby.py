"""How far labelled neighbours agree with a label."""

import numpy as np
import pytest

from labelwright.tools.nearby import neighbour_agreement


class Texts:
    """What is asked of a pool: rows by id, vectors, and which texts were written."""

    def __init__(self, vectors, written=()):
        self.ids = [f"t{n}" for n in range(len(vectors))]
        self._vectors, self._written = np.asarray(vectors, np.float32), set(written)

    def __contains__(self, item):
        return item in self.ids

    def index(self, item):
        return self.ids.index(item)

    def vectors(self):
        return self._vectors

    def origins(self):
        return np.asarray([item in self._written for item in self.ids])


def circle(degrees):
    return [[np.cos(np.radians(d)), np.sin(np.radians(d))] for d in degrees]


POOL = Texts(circle([0, 2, 4, 90, 92, 94, 3]))


def test_a_label_is_held_to_the_nearest_labelled_texts_and_never_to_its_own():
    labels = np.asarray([0, 0, 1, 1, 1])
    agreement = neighbour_agreement(POOL, ["t0", "t1", "t2", "t3", "t4"], labels, 2)
    # t6 lies between t1 (0) and t2 (1); t5 next to t4 and t3; t0 has t1 and t2, not itself.
    found = agreement(["t6", "t6", "t5", "t0", "nobody"], np.asarray([0, 2, 1, 1, 0]))
    assert found[:4] == pytest.approx([0.5, 0.0, 1.0, 0.5], abs=0.01)
    assert np.isnan(found[4])


def test_a_written_text_is_no_evidence_and_too_few_labels_are_none():
    pool = Texts(POOL.vectors(), written=["t1"])
    agreement = neighbour_agreement(pool, ["t0", "t1", "t2"], np.asarray([0, 0, 1]), 1)
    # Nearest of the real ones to t1 itself is, on a tie, either; to t6 it is t2.
    assert agreement(["t6"], np.asarray([1])) == pytest.approx([1.0])
    assert neighbour_agreement(pool, ["t0", "t1"], np.asarray([0, 0]), 1) is None
    assert neighbour_agreement(pool, [], np.empty(0, np.int64), 1) is None
