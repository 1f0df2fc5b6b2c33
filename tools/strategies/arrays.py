"""Array types of the query strategies, and distances in blocks."""

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]
Mask = NDArray[np.bool_]
Indices = NDArray[np.intp]

BLOCK = 2048  # rows: a block of 384 float32 and its products stay in the cache


def nearest(
    vectors: Vectors, rows: Indices, centres: Vectors
) -> tuple[Indices, NDArray[np.float32]]:
    """Find the nearest of `centres` for each row.

    Args:
        vectors: (N, d) matrix, possibly a memory map; at most one block of it is copied at a time.
        rows: (m,) positions in `vectors`.
        centres: (k, d), k >= 1.

    Returns:
        (m,) position in `centres`, the lowest of equals, and (m,) squared L2 distance.
    """
    which = np.zeros(len(rows), np.intp)
    distance = np.full(len(rows), np.inf, np.float32)
    for start in range(0, len(rows), BLOCK):
        block = vectors[rows[start : start + BLOCK]]
        best, at = distance[start : start + BLOCK], which[start : start + BLOCK]
        for first in range(0, len(centres), BLOCK):
            part = centres[first : first + BLOCK]
            products = block @ part.T
            products *= -2
            products += np.einsum("ij,ij->i", part, part)
            column = products.argmin(axis=1)
            value = np.take_along_axis(products, column[:, None], axis=1)[:, 0]
            closer = value < best
            at[closer] = column[closer] + first
            best[closer] = value[closer]
        best += np.einsum("ij,ij->i", block, block)
    return which, np.maximum(distance, 0, out=distance)
