import os

import numpy as np
import pytest

from labelwright.tools.embedding import EmbedderConfig, build_embedder, static
from labelwright.tools.embedding.wordpiece import tokenizer

TEXTS = ["card", "My card has not arrived", "", "\x00", "", "rate rise", "word " * 5000]


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    """The real table, made once: it takes some ten CPU seconds."""
    folder = tmp_path_factory.mktemp("real")
    embedder = build_embedder(EmbedderConfig(kind="static"), cache_dir=folder)
    embedder.embed(["x"])
    return embedder, folder


@pytest.fixture
def builds(monkeypatch):
    """Replaces the real table by random numbers; the list has an entry for each time it is made."""
    made = []

    def build_table():
        made.append(1)
        size = tokenizer().get_vocab_size()
        return np.random.default_rng(0).normal(size=(size, 384)).astype(np.float32)

    monkeypatch.setattr(static, "build_table", build_table)
    return made


def open_static(folder):
    return build_embedder(EmbedderConfig(kind="static"), cache_dir=folder)


def test_vectors_are_unit_rows_that_depend_on_their_text_alone(real):
    embedder, _ = real
    vectors = embedder.embed(TEXTS)
    assert vectors.shape == (len(TEXTS), embedder.dim)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    alone = np.concatenate([embedder.embed([text]) for text in TEXTS])
    np.testing.assert_array_equal(vectors, alone)
    np.testing.assert_array_equal(embedder.embed(TEXTS[::-1])[::-1], vectors)
    assert embedder.embed([]).shape == (0, embedder.dim)


def test_related_texts_are_closer_than_unrelated_ones(real):
    card, waiting, cat, rug = real[0].embed(
        [
            "My card has not arrived yet",
            "I am still waiting for my new bank card",
            "The cat sat on the mat",
            "A cat is resting on a rug",
        ]
    )
    assert card @ waiting > 0.5
    assert cat @ rug > 0.4
    assert max(card @ cat, card @ rug, waiting @ cat, waiting @ rug) < 0.3


def test_a_text_without_word_pieces_is_the_unknown_token(real):
    embedder, _ = real
    unknown, empty, control = embedder.embed(["[UNK]", "", "\x00"])
    np.testing.assert_array_equal(empty, unknown)
    np.testing.assert_array_equal(control, unknown)


def test_a_vector_is_the_sum_of_its_token_vectors(builds, tmp_path):
    embedder = open_static(tmp_path)
    table = static.build_table()
    ids = tokenizer().encode("The cat sat on the cat", add_special_tokens=False).ids
    expected = sum(table[i] for i in ids)
    expected /= np.linalg.norm(expected)
    np.testing.assert_allclose(embedder.embed(["The cat sat on the cat"])[0], expected, atol=1e-6)


def test_the_table_is_kept_and_read_back_unchanged(real, monkeypatch):
    embedder, folder = real
    (file,) = folder.iterdir()
    assert file.name == f"{embedder.fingerprint.replace('@', '-')}.npz"
    monkeypatch.setattr(static, "build_table", lambda: pytest.fail("the cache was not used"))
    np.testing.assert_array_equal(open_static(folder).embed(TEXTS), embedder.embed(TEXTS))


def test_the_table_is_made_once(builds, tmp_path):
    first = open_static(tmp_path / "new" / "folder")
    first.embed(["a"])
    first.embed(["b"])
    assert builds == [1]
    open_static(tmp_path / "new" / "folder").embed(["a"])
    assert builds == [1]


def _cut(content):
    return content[:1000]


def _flip(content):
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


def _no_archive(content):
    return b"not a table"


def _empty(content):
    return b""


@pytest.mark.parametrize("damage", [_cut, _flip, _no_archive, _empty])
def test_a_damaged_table_is_made_again(damage, builds, tmp_path):
    expected = open_static(tmp_path).embed(TEXTS)
    (file,) = tmp_path.iterdir()
    sound = file.read_bytes()
    file.write_bytes(damage(sound))
    np.testing.assert_array_equal(open_static(tmp_path).embed(TEXTS), expected)
    assert builds == [1, 1]
    assert [path.name for path in tmp_path.iterdir()] == [file.name]
    open_static(tmp_path).embed(TEXTS)
    assert builds == [1, 1]


def test_a_table_of_another_shape_is_made_again(builds, tmp_path):
    embedder = open_static(tmp_path)
    embedder.embed(["a"])
    (file,) = tmp_path.iterdir()
    np.savez(file, table=np.zeros((3, 384), np.float32))
    open_static(tmp_path).embed(["a"])
    assert builds == [1, 1]


def test_without_a_writable_cache_the_table_is_made_in_memory(builds, tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    embedder = open_static(blocked / "cache")
    assert embedder.embed(TEXTS).shape == (len(TEXTS), 384)
    embedder.embed(TEXTS)
    assert builds == [1]
    assert list(tmp_path.iterdir()) == [blocked]


def test_a_table_that_can_not_be_put_in_place_leaves_no_rest(builds, tmp_path, monkeypatch):
    def full(source, target):
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", full)
    assert open_static(tmp_path).embed(["a"]).shape == (1, 384)
    assert list(tmp_path.iterdir()) == []


def test_the_default_cache_is_the_users(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert static.default_cache_dir() == tmp_path / "labelwright"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert static.default_cache_dir() == tmp_path / ".cache" / "labelwright"
