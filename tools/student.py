"""The student: multinomial logistic regression on frozen embeddings, with calibrated probabilities.

The regression is minimised here by L-BFGS instead of by scikit-learn's LogisticRegression (which
has the same minimum): it takes half the time, the sparse TF-IDF part stays apart from the dense
embeddings, and "did not converge" comes back as a value instead of as a warning.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import BaseModel, ConfigDict, Field

from .errors import DataError

if TYPE_CHECKING:
    from sklearn.feature_extraction.text import TfidfVectorizer

Vectors = NDArray[np.float32]
Probabilities = NDArray[np.float32]
Indices = NDArray[np.intp]

_BLOCK = 8192  # rows predicted at a time
_GRADIENT_TOLERANCE = 3e-4  # largest entry of the mean gradient; less moves no accuracy, only time
_MAX_ITERATIONS = 500


class StudentConfig(BaseModel):
    """How the student is trained."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    features: Literal["embedding", "embedding+tfidf"] = Field(
        default="embedding",
        description="What the student reads: the embedding, or also the words (TF-IDF, 1-2 grams).",
    )
    C: float = Field(
        default=10.0,
        gt=0,
        description="Inverse strength of the L2 penalty, as in scikit-learn. Lower: smoother.",
    )
    folds: int = Field(
        default=5, ge=2, le=20, description="Folds of the out-of-sample probabilities."
    )
    max_terms: int = Field(
        default=10_000, ge=1, description="Most frequent terms that TF-IDF keeps, at most."
    )


@dataclass(frozen=True, eq=False)
class Student:
    """A trained linear classifier over the whole label set.

    A label that no training row had gets 1 / (rows + K), Laplace's rule of succession; the others
    share the rest, so the most probable label is always one that was seen.

    Attributes:
        labels: the K label names, in the order of the label set.
        seen: (S,) positions in `labels` of those that training rows had, ascending.
        coef: (d + t, S) weights of the d embedding dimensions and the t terms.
        intercept: (S,) intercepts.
        temperature: what logits are divided by (Guo et al., ICML 2017).
        rows: number of rows trained on.
        tfidf: fitted vectorizer of the t terms, or None.
    """

    labels: tuple[str, ...]
    seen: Indices
    coef: NDArray[np.float32]
    intercept: NDArray[np.float32]
    temperature: float
    rows: int
    tfidf: "TfidfVectorizer | None" = None

    @property
    def constant(self) -> bool:
        """Whether there was one label only, so that every item is predicted alike."""
        return len(self.seen) == 1

    @property
    def dim(self) -> int:
        """Width of the embeddings that the student reads."""
        return len(self.coef) - (0 if self.tfidf is None else len(self.tfidf.vocabulary_))

    def predict_proba(self, vectors: Vectors, texts: Sequence[str] | None = None) -> Probabilities:
        """Predict calibrated probabilities over all K labels.

        Args:
            vectors: (n, d) unit embeddings.
            texts: the n texts; needed only by a student with TF-IDF features.

        Returns:
            (n, K), each row summing to 1.

        Raises:
            DataError: the vectors have another width, or texts are missing.
        """
        if vectors.ndim != 2 or vectors.shape[1] != self.dim:
            raise DataError(
                f"the student reads vectors of {self.dim} dimensions and was given an array of "
                f"shape {vectors.shape}: embed the texts with the embedder it was trained with"
            )
        if self.tfidf is not None and (texts is None or len(texts) != len(vectors)):
            raise DataError(
                f"the student reads words too (features: embedding+tfidf): pass the {len(vectors)} "
                f"texts beside the vectors; got {'none' if texts is None else len(texts)}"
            )
        out = np.empty((len(vectors), len(self.labels)), np.float32)
        for start in range(0, len(vectors), _BLOCK):
            block = slice(start, start + _BLOCK)
            features = _features(
                vectors[block], None if texts is None else texts[block], self.tfidf
            )
            logits = _logits(features, self.coef, self.intercept)
            out[block] = _probabilities(
                logits, self.seen, len(self.labels), self.rows, self.temperature
            )
        return out


@dataclass(frozen=True, eq=False)
class Fit:
    """A trained student with what the training showed.

    Attributes:
        student: the student, trained on all rows.
        out_of_sample: (n, K) calibrated probabilities of each training row, by a model that saw
            neither the row nor any row of its group. Uniform where no other group exists.
        converged: whether every optimisation, folds included, reached its tolerance.
    """

    student: Student
    out_of_sample: Probabilities
    converged: bool


def fit(
    config: StudentConfig,
    vectors: Vectors,
    labels: NDArray[np.integer[Any]],
    weights: ArrayLike | None,
    label_names: Sequence[str],
    *,
    texts: Sequence[str] | None = None,
    seed: int,
    groups: NDArray[np.integer[Any]] | None = None,
) -> Fit:
    """Train the student, and predict each training row by a model that has not seen it.

    The temperature minimises the out-of-sample log-loss (Guo et al., "On calibration of modern
    neural networks", ICML 2017) plus half the squared log of the temperature, which only matters
    for a handful of rows.

    Args:
        config: features and penalty.
        vectors: (n, d) unit embeddings of the labelled items.
        labels: (n,) positions in `label_names`.
        weights: (n,) positive weights of the rows, or None for all 1.
        label_names: the K names of the label set.
        texts: the n texts; needed for TF-IDF features.
        seed: decides the folds.
        groups: (n,) rows with the same number (near-duplicates) stay in the same fold.

    Raises:
        DataError: no rows, arrays of different lengths, a label out of range, a weight that is not
            positive, a vector that is not finite, or texts that TF-IDF can not use.
    """
    n, k = len(vectors), len(label_names)
    weight = np.ones(n, np.float32) if weights is None else np.asarray(weights, np.float32)
    group = np.arange(n) if groups is None else groups
    _check(vectors, labels, weight, group, k)
    tfidf = _fit_tfidf(config, texts, n)
    features = _features(vectors, texts, tfidf)
    fold = _folds(labels, group, config.folds, np.random.default_rng(seed))
    logits = np.full((n, k), -np.inf, np.float32)
    parts: list[tuple[NDArray[np.bool_], _Linear]] = []
    for held in (fold == f for f in range(fold.max() + 1)):
        if held.all():
            continue
        train = [part[~held] for part in features]
        linear = _train(train, labels[~held], weight[~held], config.C)
        logits[np.ix_(held, linear.seen)] = _logits(
            [part[held] for part in features], linear.coef, linear.intercept
        )
        parts.append((held, linear))
    temperature = _temperature(logits, labels, weight)
    out_of_sample = np.full((n, k), 1 / k, np.float32)
    for held, linear in parts:
        rows = int((~held).sum())
        seen_logits = logits[np.ix_(held, linear.seen)]
        out_of_sample[held] = _probabilities(seen_logits, linear.seen, k, rows, temperature)
    final = _train(features, labels, weight, config.C)
    student = Student(
        tuple(label_names), final.seen, final.coef, final.intercept, temperature, n, tfidf
    )
    converged = final.converged and all(linear.converged for _, linear in parts)
    return Fit(student, out_of_sample, converged)


@dataclass(frozen=True, eq=False)
class _Linear:
    seen: Indices
    coef: NDArray[np.float32]
    intercept: NDArray[np.float32]
    converged: bool


def _train(
    features: list[Any], labels: NDArray[np.integer[Any]], weight: NDArray[np.float32], c: float
) -> _Linear:
    """Minimise C * sum of weighted log-losses + half the squared weights (intercepts are free)."""
    from scipy.optimize import minimize
    from threadpoolctl import threadpool_limits

    seen, target = np.unique(labels, return_inverse=True)
    widths = [part.shape[1] for part in features]
    width, k, rows = sum(widths), len(seen), np.arange(len(labels))
    if k == 1:
        return _Linear(seen, np.zeros((width, 1), np.float32), np.zeros(1, np.float32), True)
    # Divided by the total weight, so that the tolerance means the same for every number of rows.
    total = float(weight.sum(dtype=np.float64))
    share, penalty = weight / np.float32(total), 1 / (c * total)

    def loss(flat: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        theta = flat.reshape(width + 1, k)
        single = theta.astype(np.float32)
        z = _logits(features, single[:-1], single[-1])
        z -= z.max(axis=1, keepdims=True)
        own = z[rows, target]
        np.exp(z, out=z)
        norm = z.sum(axis=1)
        value = float(share.astype(np.float64) @ (np.log(norm) - own))
        value += penalty / 2 * float(np.vdot(theta[:-1], theta[:-1]))
        z *= (share / norm)[:, None]
        z[rows, target] -= share
        gradient = np.empty_like(theta)
        gradient[:-1] = np.concatenate([part.T @ z for part in features])
        gradient[:-1] += penalty * theta[:-1]
        gradient[-1] = z.sum(axis=0)
        return value, gradient.ravel()

    # The products are small: on a busy machine threads that wait for each other cost 20 times the
    # work, and on an idle one they gain little.
    with threadpool_limits(1):
        result = minimize(
            loss,
            np.zeros((width + 1) * k),
            jac=True,
            method="L-BFGS-B",
            options={
                "gtol": _GRADIENT_TOLERANCE,
                "ftol": 1e-10,
                "maxiter": _MAX_ITERATIONS,
                "maxcor": 5,  # as fast as 10, and half the memory, which TF-IDF needs
            },
        )
    theta = result.x.reshape(width + 1, k).astype(np.float32)
    return _Linear(seen, theta[:-1], theta[-1], bool(result.success))


def _features(
    vectors: Vectors, texts: Sequence[str] | None, tfidf: "TfidfVectorizer | None"
) -> list[Any]:
    """List the parts whose columns, side by side, are the features: dense, then maybe sparse."""
    dense = np.asarray(vectors, np.float32)
    return [dense] if tfidf is None else [dense, tfidf.transform(texts)]


def _logits(
    features: list[Any], coef: NDArray[np.float32], intercept: NDArray[np.float32]
) -> NDArray[np.float32]:
    start, logits = 0, np.zeros(1, np.float32)
    for part in features:
        logits = logits + part @ coef[start : start + part.shape[1]]
        start += part.shape[1]
    return logits + intercept


def _probabilities(
    logits: NDArray[np.float32], seen: Indices, k: int, rows: int, temperature: float
) -> Probabilities:
    """Spread the softmax of the seen labels over all k, by Laplace's rule for the others."""
    from scipy.special import softmax

    out = np.full((len(logits), k), 1 / (rows + k), np.float32)
    share = np.float32((rows + len(seen)) / (rows + k))
    out[:, seen] = softmax(logits / np.float32(temperature), axis=1) * share
    return out


def _temperature(
    logits: NDArray[np.float32], labels: NDArray[np.integer[Any]], weight: NDArray[np.float32]
) -> float:
    """Fit the temperature on rows whose label was seen by the model that predicted them."""
    from scipy.optimize import minimize_scalar
    from scipy.special import logsumexp

    usable = np.isfinite(logits[np.arange(len(labels)), labels])
    if not usable.any():
        return 1.0
    z, target = logits[usable].astype(np.float64), labels[usable]
    own, w = z[np.arange(len(target)), target], weight[usable].astype(np.float64)

    def objective(log_t: float) -> float:
        scale = np.exp(-log_t)
        return float(w @ (logsumexp(z * scale, axis=1) - own * scale)) + log_t**2 / 2

    best = minimize_scalar(objective, bounds=(-4.0, 4.0), method="bounded")
    return float(np.exp(best.x))


def _folds(
    labels: NDArray[np.integer[Any]],
    groups: NDArray[np.integer[Any]],
    k: int,
    rng: np.random.Generator,
) -> Indices:
    """Deal groups like cards, label after label: (n,) fold, stratified by a group's first row."""
    _, first, member = np.unique(groups, return_index=True, return_inverse=True)
    order = rng.permutation(len(first))
    order = order[np.argsort(labels[first][order], kind="stable")]
    fold = np.empty(len(first), np.intp)
    fold[order] = np.arange(len(first)) % min(k, len(first))
    return fold[member]


def _fit_tfidf(
    config: StudentConfig, texts: Sequence[str] | None, n: int
) -> "TfidfVectorizer | None":
    """Learn terms and their idf from all rows: no label enters, so folds need none of their own."""
    if config.features == "embedding":
        return None
    if texts is None or len(texts) != n:
        raise DataError(
            f"features: embedding+tfidf needs the texts of the {n} labelled rows; got "
            f"{'none' if texts is None else len(texts)}"
        )
    vectorizer = tfidf_vectorizer(max_features=config.max_terms)
    try:
        return vectorizer.fit(texts)
    except ValueError:
        raise DataError(
            f"none of the {n} labelled texts has a word to learn from: use features: embedding"
        ) from None


def tfidf_vectorizer(**options: Any) -> "TfidfVectorizer":
    """Build the vectorizer of the student, not yet fitted."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    # One-character words count: they are whole words in many scripts.
    return TfidfVectorizer(
        ngram_range=(1, 2),
        sublinear_tf=True,
        token_pattern=r"(?u)\b\w+\b",
        dtype=np.float32,
        **options,
    )


def _check(
    vectors: Vectors,
    labels: NDArray[np.integer[Any]],
    weight: NDArray[np.float32],
    groups: NDArray[np.integer[Any]],
    k: int,
) -> None:
    n = len(vectors)
    if n == 0:
        raise DataError("the student has no labelled row to learn from: annotate some first")
    for name, values in (("labels", labels), ("weights", weight), ("groups", groups)):
        if values.shape != (n,):
            raise DataError(f"{name} has shape {values.shape}; expected ({n},), one per vector")
    if labels.min() < 0 or labels.max() >= k:
        raise DataError(
            f"labels range from {labels.min()} to {labels.max()}; the label set has {k} labels, so "
            f"they must be within 0 and {k - 1}"
        )
    if not (np.isfinite(weight).all() and (weight > 0).all()):
        raise DataError("weights must be positive and finite: leave a row out instead of weight 0")
    if not np.isfinite(vectors).all():
        bad = int(np.flatnonzero(~np.isfinite(vectors).all(axis=1))[0])
        raise DataError(f"vector {bad} is not finite: embed its text again")
