import json
import subprocess
import sys

import numpy as np
import pytest
import skops.io
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from labelwright.tools import student as student_module
from labelwright.tools.errors import DataError
from labelwright.tools.student import StudentConfig, fit
from labelwright.tools.student_file import load, save

NAMES = ("a", "b", "c", "d")
CONFIG = StudentConfig()


def sample(n, k=3, dim=12, spread=0.6, seed=0):
    rng = np.random.default_rng(seed)
    labels = rng.integers(k, size=n)
    vectors = np.eye(k, dim)[labels] + spread * rng.normal(size=(n, dim))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors.astype(np.float32), labels


def calibration_error(proba, labels, bins=10):
    confidence, correct = proba.max(axis=1), proba.argmax(axis=1) == labels
    cell = np.minimum((confidence * bins).astype(int), bins - 1)
    gaps = np.bincount(cell, confidence - correct, minlength=bins)
    return np.abs(gaps).sum() / len(labels)


@pytest.mark.parametrize("weighted", [False, True])
def test_the_minimum_is_that_of_scikit_learn(monkeypatch, weighted):
    monkeypatch.setattr(student_module, "_GRADIENT_TOLERANCE", 1e-6)
    vectors, labels = sample(300)
    weights = np.random.default_rng(1).uniform(0.2, 2, 300) if weighted else None
    ours = fit(CONFIG, vectors, labels, weights, NAMES[:3], seed=0).student
    reference = LogisticRegression(C=CONFIG.C, tol=1e-8, max_iter=5000)
    reference.fit(vectors.astype(float), labels, weights)
    np.testing.assert_allclose(ours.coef.T, reference.coef_, atol=5e-3)
    proba = ours.predict_proba(vectors) ** ours.temperature
    proba /= proba.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(proba, reference.predict_proba(vectors), atol=2e-3)


def test_out_of_sample_probabilities_are_calibrated_and_honest():
    vectors, labels = sample(1500, spread=0.9)
    result = fit(CONFIG, vectors, labels, None, NAMES[:3], seed=0)
    fresh, truth = sample(3000, spread=0.9, seed=9)
    proba = result.student.predict_proba(fresh)
    assert result.converged
    accuracy = (proba.argmax(axis=1) == truth).mean()
    assert abs((result.out_of_sample.argmax(axis=1) == labels).mean() - accuracy) < 0.04
    assert calibration_error(proba, truth) < 0.05
    assert calibration_error(result.out_of_sample, labels) < 0.05


def test_labels_that_are_noise_are_not_learnt_out_of_sample():
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(200, 150)).astype(np.float32)
    labels = rng.integers(2, size=200)
    result = fit(StudentConfig(C=1e4), vectors, labels, None, NAMES[:2], seed=0)
    in_sample = (result.student.predict_proba(vectors).argmax(axis=1) == labels).mean()
    assert in_sample > 0.95
    assert (result.out_of_sample.argmax(axis=1) == labels).mean() < 0.65
    assert result.out_of_sample.max() < 0.8  # the temperature has taken the false confidence away


def test_a_group_stays_in_one_fold():
    rng = np.random.default_rng(0)
    originals = rng.normal(size=(60, 40)).astype(np.float32)
    labels = np.tile(rng.integers(2, size=60), 2)
    vectors = np.concatenate([originals, originals + 0.001])
    config = StudentConfig(C=1e4)
    leaking = fit(config, vectors, labels, None, NAMES[:2], seed=0)
    groups = np.tile(np.arange(60), 2)
    grouped = fit(config, vectors, labels, None, NAMES[:2], seed=0, groups=groups)
    assert (leaking.out_of_sample.argmax(axis=1) == labels).mean() > 0.85
    assert (grouped.out_of_sample.argmax(axis=1) == labels).mean() < 0.7


def test_a_label_with_one_example_is_predicted_by_a_model_that_has_not_seen_it():
    vectors, labels = sample(40, k=2)
    labels[7] = 3
    result = fit(CONFIG, vectors, labels, None, NAMES, seed=0)
    assert result.student.seen.tolist() == [0, 1, 3]
    assert result.out_of_sample[7, 3] == pytest.approx(1 / (32 + 4))  # 32 rows in the other folds
    unseen = result.student.predict_proba(vectors)[:, 2]
    np.testing.assert_allclose(unseen, 1 / (40 + 4), rtol=1e-5)


def test_rows_that_repeat_weigh_as_much_as_their_weight():
    vectors, labels = sample(60)
    weights = np.where(np.arange(60) < 20, 2.0, 1.0)
    twice = np.concatenate([np.arange(60), np.arange(20)])
    config = StudentConfig(C=1.0)
    by_weight = fit(config, vectors, labels, weights, NAMES[:3], seed=0).student
    by_copy = fit(config, vectors[twice], labels[twice], None, NAMES[:3], seed=0).student
    np.testing.assert_allclose(by_weight.coef, by_copy.coef, atol=0.02)


def test_one_label_makes_a_constant_student():
    vectors, _ = sample(6)
    result = fit(CONFIG, vectors, np.full(6, 1), None, NAMES, seed=0)
    assert result.student.constant
    assert result.converged
    proba = result.student.predict_proba(vectors)
    np.testing.assert_allclose(proba, np.tile([[0.1, 0.7, 0.1, 0.1]], (6, 1)), rtol=1e-6)


@settings(max_examples=60, deadline=None)
@given(
    n=st.integers(1, 12),
    k=st.integers(2, 5),
    groups=st.sampled_from(["none", "one", "some"]),
    seed=st.integers(0, 999),
)
def test_the_smallest_samples_work(n, k, groups, seed):
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(n, 3)).astype(np.float32)
    labels = rng.integers(k, size=n)
    group = {"none": None, "one": np.zeros(n, int), "some": rng.integers(3, size=n)}[groups]
    names = [str(i) for i in range(k)]
    result = fit(CONFIG, vectors, labels, None, names, seed=seed, groups=group)
    predicted = result.student.predict_proba(vectors)
    for proba in (predicted, result.out_of_sample):
        assert proba.shape == (n, k)
        assert proba.min() > 0
        np.testing.assert_allclose(proba.sum(axis=1), 1, rtol=1e-5)
    assert set(predicted.argmax(axis=1)) <= set(labels.tolist())
    again = fit(CONFIG, vectors, labels, None, names, seed=seed, groups=group)
    assert again.out_of_sample.tobytes() == result.out_of_sample.tobytes()


def test_two_rows_of_two_labels_know_nothing_of_themselves():
    vectors = np.eye(2, 4, dtype=np.float32)
    result = fit(CONFIG, vectors, np.array([0, 1]), None, NAMES[:2], seed=0)
    assert result.student.temperature == 1
    assert result.student.predict_proba(vectors).argmax(axis=1).tolist() == [0, 1]
    assert result.out_of_sample.argmax(axis=1).tolist() == [1, 0]


def test_not_converged_is_recorded(monkeypatch):
    monkeypatch.setattr(student_module, "_MAX_ITERATIONS", 1)
    vectors, labels = sample(100)
    assert not fit(CONFIG, vectors, labels, None, NAMES[:3], seed=0).converged


def test_the_seed_decides_the_folds():
    vectors, labels = sample(80)
    runs = [fit(CONFIG, vectors, labels, None, NAMES[:3], seed=s).out_of_sample for s in (0, 0, 1)]
    assert runs[0].tobytes() == runs[1].tobytes() != runs[2].tobytes()


def words(labels):
    return [f"{('red', 'green', 'blue')[label]} thing no {i}" for i, label in enumerate(labels)]


def test_words_teach_what_the_embedding_does_not_hold():
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(90, 4)).astype(np.float32)
    labels = rng.integers(3, size=90)
    config = StudentConfig(features="embedding+tfidf")
    result = fit(config, vectors, labels, None, NAMES[:3], seed=0, texts=words(labels))
    assert (result.out_of_sample.argmax(axis=1) == labels).mean() > 0.95
    with pytest.raises(DataError, match=r"pass the 90 texts beside the vectors; got none"):
        result.student.predict_proba(vectors)


def test_texts_that_tfidf_can_not_use():
    config = StudentConfig(features="embedding+tfidf")
    vectors = np.zeros((2, 4), np.float32)
    with pytest.raises(DataError, match=r"needs the texts of the 2 labelled rows; got none"):
        fit(config, vectors, np.array([0, 1]), None, NAMES, seed=0)
    with pytest.raises(DataError, match=r"none of the 2 labelled texts has a word"):
        fit(config, vectors, np.array([0, 1]), None, NAMES, seed=0, texts=["?!", "..."])


def test_unusable_arrays_are_refused():
    vectors, labels = sample(5)
    broken = vectors.copy()
    broken[3, 0] = np.nan
    cases = [
        (vectors[:0], labels[:0], None, "no labelled row"),
        (vectors, labels[:4], None, r"labels has shape \(4,\); expected \(5,\)"),
        (vectors, labels + 9, None, "the label set has 4 labels"),
        (vectors, labels - 9, None, "within 0 and 3"),
        (vectors, labels, np.array([1, 1, 0, 1, 1]), "weights must be positive"),
        (broken, labels, None, "vector 3 is not finite"),
    ]
    for rows, truth, weights, message in cases:
        with pytest.raises(DataError, match=message):
            fit(CONFIG, rows, truth, weights, NAMES, seed=0)
    student = fit(CONFIG, vectors, labels, None, NAMES, seed=0).student
    with pytest.raises(DataError, match=r"reads vectors of 12 dimensions .* shape \(5, 7\)"):
        student.predict_proba(np.zeros((5, 7), np.float32))


@pytest.mark.parametrize("features", ["embedding", "embedding+tfidf"])
def test_a_student_is_the_same_in_another_process(tmp_path, features):
    vectors, labels = sample(60)
    texts = words(labels)
    config = StudentConfig(features=features)
    student = fit(config, vectors, labels, None, NAMES, seed=0, texts=texts).student
    path = tmp_path / "student.skops"
    save(student, path, embedder_fingerprint="minilm", metadata={"round": 3, "why": "ünïcode"})
    np.save(tmp_path / "vectors.npy", vectors)
    (tmp_path / "texts.json").write_text(json.dumps(texts))
    code = """if True:
        import json, sys
        from pathlib import Path
        import numpy as np
        from labelwright.tools.student_file import load
        folder = Path(sys.argv[1])
        student, metadata = load(folder / "student.skops", embedder_fingerprint="minilm")
        texts = json.loads((folder / "texts.json").read_text())
        np.save(folder / "proba.npy", student.predict_proba(np.load(folder / "vectors.npy"), texts))
        assert metadata == {"round": 3, "why": "\\u00fcn\\u00efcode"}
        assert student.labels == ("a", "b", "c", "d")
    """
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True)
    np.testing.assert_allclose(
        np.load(tmp_path / "proba.npy"), student.predict_proba(vectors, texts), rtol=1e-5
    )
    assert sorted(p.name for p in tmp_path.glob("*student*")) == ["student.skops"]


@pytest.fixture
def saved(tmp_path):
    vectors, labels = sample(20)
    student = fit(CONFIG, vectors, labels, None, NAMES, seed=0).student
    path = tmp_path / "student.skops"
    save(student, path, embedder_fingerprint="minilm", metadata={})
    return student, path


def test_another_embedder_is_refused(saved):
    _, path = saved
    assert load(path)[0].labels == NAMES
    with pytest.raises(DataError, match=r"embedder minilm, and the one in use is hash-256"):
        load(path, embedder_fingerprint="hash-256")


class Foreign:
    def __init__(self):
        self.x = 1


@pytest.mark.parametrize(
    ("content", "name"),
    [
        ({"format": 1, "coef": Foreign()}, "Foreign"),
        ({"format": 1, "coef": LogisticRegression()}, "LogisticRegression"),
        ({"format": 1, "coef": np.log}, r"numpy\S*log"),
        ({"format": 1, "coef": [subprocess.run]}, "subprocess"),
    ],
)
def test_a_type_that_is_not_trusted_is_refused(tmp_path, content, name):
    path = tmp_path / "student.skops"
    skops.io.dump(content, path)
    with pytest.raises(DataError, match=name):
        load(path)


def test_what_is_not_a_student_file(tmp_path, saved):
    _, path = saved
    with pytest.raises(DataError, match="there is no student file"):
        load(tmp_path / "nothing.skops")
    (tmp_path / "text.skops").write_text("not a zip")
    with pytest.raises(DataError, match="is not a student file, or it is damaged"):
        load(tmp_path / "text.skops")
    cut = path.read_bytes()
    path.write_bytes(cut[: len(cut) // 2])
    with pytest.raises(DataError, match="is not a student file, or it is damaged"):
        load(path)
    flipped = bytearray(cut)
    flipped[200] ^= 1
    path.write_bytes(flipped)
    with pytest.raises(DataError, match="is not a student file, or it is damaged"):
        load(path)
    skops.io.dump({"format": 99}, tmp_path / "later.skops")
    with pytest.raises(DataError, match="not a student file of format 1"):
        load(tmp_path / "later.skops")


def test_a_failed_save_leaves_the_old_file(saved, monkeypatch):
    student, path = saved
    before = path.read_bytes()
    with pytest.raises(DataError, match="can not be written as JSON"):
        save(student, path, embedder_fingerprint="minilm", metadata={"x": object()})

    def full_disk(*_args, **_options):
        raise OSError("no space left on device")

    monkeypatch.setattr(skops.io, "dump", full_disk)
    with pytest.raises(OSError, match="no space left"):
        save(student, path, embedder_fingerprint="minilm", metadata={})
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]
