import hashlib

import numpy as np
import pytest
from pydantic import ValidationError

from labelwright.tools.embedding import (
    EmbedderConfig,
    build_embedder,
    encoder,
    wordpiece,
    wordpiece_counts,
)
from labelwright.tools.errors import ConfigError, EmbeddingError

TEXTS = [
    "My card has not arrived yet",
    "I am still waiting for my new bank card",
    "The cat sat on the mat",
    "A cat is resting on a rug",
    "Interest rates rose by half a point",
    "",
    "Überweisung nach 中国 🙂\n\ttab",
    "word " * 2000,
]
# Cosines of the first five texts by a float32 forward pass written in NumPy from the source
# weights, independent of the ONNX graph.
FLOAT32_COSINES = [
    [1.0, 0.6658, 0.0981, 0.0349, 0.0774],
    [0.6658, 1.0, 0.0409, 0.0259, 0.1878],
    [0.0981, 0.0409, 1.0, 0.7014, 0.0289],
    [0.0349, 0.0259, 0.7014, 1.0, -0.0078],
    [0.0774, 0.1878, 0.0289, -0.0078, 1.0],
]
OPENAI = {"kind": "openai", "model": "m", "price_usd_per_mtok": 0.02}


@pytest.fixture(scope="module")
def minilm():
    return build_embedder(EmbedderConfig())


def test_vectors_are_unit_float32_rows(minilm):
    vectors = minilm.embed(TEXTS)
    assert vectors.shape == (len(TEXTS), minilm.dim) == (len(TEXTS), 384)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    assert minilm.embed([]).shape == (0, 384)
    assert minilm.embed([]).dtype == np.float32


def test_a_vector_depends_on_its_text_alone(minilm):
    together = minilm.embed(TEXTS)
    alone = np.concatenate([minilm.embed([text]) for text in TEXTS])
    np.testing.assert_array_equal(together, alone)
    np.testing.assert_array_equal(minilm.embed(TEXTS[::-1])[::-1], together)


def test_blocks_and_threads_do_not_change_vectors(minilm, monkeypatch):
    expected = minilm.embed(TEXTS)
    monkeypatch.setattr(encoder, "_BLOCK", 3)
    monkeypatch.setattr(encoder, "_MOST_THREADS", 1)
    np.testing.assert_array_equal(minilm.embed(TEXTS), expected)


def test_cosines_are_those_of_the_float32_model(minilm):
    vectors = minilm.embed(TEXTS[:5])
    np.testing.assert_allclose(vectors @ vectors.T, FLOAT32_COSINES, atol=0.03)


def test_only_the_first_256_word_pieces_count(minilm):
    # 254 words fill the window beside [CLS] and [SEP].
    full, longer, shorter = minilm.embed(["word " * 254, "word " * 254 + "cat", "word " * 253])
    np.testing.assert_array_equal(full, longer)
    assert not np.array_equal(full, shorter)


def test_fingerprints_are_stable_and_tell_spaces_apart(monkeypatch, tmp_path):
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    monkeypatch.setenv("OPENAI_API_KEY", "k")

    def fingerprint(**changes):
        charge = lambda key, bound_tokens, send: send()[0]  # noqa: E731
        return build_embedder(
            EmbedderConfig(**changes), cache_dir=tmp_path, charge=charge
        ).fingerprint

    # Pools on disk carry it: whoever changes it makes them unusable, on purpose or not.
    assert fingerprint() == "minilm@3b7c37b9197b3ce4"
    assert fingerprint(kind="static") == "static@352fa3413b4c6bcb"
    remote = [
        OPENAI,
        OPENAI | {"model": "n"},
        OPENAI | {"dimensions": 8},
        OPENAI | {"base_url": "http://localhost:1/v1"},
    ]
    assert len({fingerprint(**changes) for changes in remote}) == len(remote)
    assert fingerprint(**OPENAI) == fingerprint(**OPENAI, batch_size=1, timeout_s=1)
    monkeypatch.setenv("OPENAI_BASE_URL", "http://localhost:1/v1")
    assert fingerprint(**OPENAI) == fingerprint(**remote[3])


@pytest.mark.parametrize("name", [wordpiece.MODEL, wordpiece.TOKENIZER])
def test_packaged_files_are_those_of_the_manifest(name):
    content = (wordpiece.FOLDER / name).read_bytes()
    assert hashlib.sha256(content).hexdigest() == wordpiece.manifest().built_sha256[name]


def test_a_changed_packaged_file_is_refused(monkeypatch, tmp_path):
    (tmp_path / wordpiece.MODEL).write_bytes(b"other")
    monkeypatch.setattr(wordpiece, "FOLDER", tmp_path)
    with pytest.raises(EmbeddingError, match=r"model\.int8\.onnx has sha256 .* manifest says"):
        wordpiece.read_checked(wordpiece.MODEL)
    with pytest.raises(EmbeddingError, match="can not be read"):
        wordpiece.read_checked(wordpiece.TOKENIZER)


def test_word_pieces_are_counted_without_limit():
    assert wordpiece_counts(["", "the cat", "the unaffable cat", "cat " * 3000]) == [0, 2, 5, 3000]
    assert wordpiece_counts([]) == []


@pytest.mark.parametrize("kind", ["minilm", "static"])
@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ("abc", "got one string"),
        (["a", None], "text 1 is NoneType"),
        (["a\ud800"], "text 0 has a lone surrogate at character 1"),
    ],
)
def test_unusable_texts_are_named(kind, texts, message, tmp_path):
    embedder = build_embedder(EmbedderConfig(kind=kind), cache_dir=tmp_path)
    with pytest.raises(EmbeddingError, match=message):
        embedder.embed(texts)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"kind": "openai", "price_usd_per_mtok": "free"}, "needs model"),
        ({"kind": "openai", "model": "m"}, "never counted as free"),
        (OPENAI | {"price_usd_per_mtok": 0}, "greater than 0"),
        (OPENAI | {"price_usd_per_mtok": True}, "price_usd_per_mtok"),
        (OPENAI | {"price_usd_per_mtok": float("inf")}, "finite"),
        ({"model": "m"}, "model: only for kind openai, not for minilm"),
        ({"kind": "static", "batch_size": 4, "dimensions": 2}, "dimensions, batch_size: only for"),
        (OPENAI | {"base_url": "https://api.test/v1/embeddings"}, "leave out /embeddings"),
        (OPENAI | {"base_url": "api.test/v1"}, "base_url must be"),
        (OPENAI | {"api_key_env": "sk-proj-1234"}, "api_key_env"),
        ({"kindd": "static"}, "Extra inputs"),
    ],
)
def test_configurations_that_do_not_fit_are_refused(fields, message):
    with pytest.raises(ValidationError, match=message):
        EmbedderConfig(**fields)


def test_a_dumped_configuration_loads_again():
    for config in (EmbedderConfig(), EmbedderConfig(kind="static"), EmbedderConfig(**OPENAI)):
        assert EmbedderConfig.model_validate_json(config.model_dump_json()) == config


def test_a_paid_endpoint_needs_a_meter_and_a_key(monkeypatch):
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    with pytest.raises(ConfigError, match="nothing meters it"):
        build_embedder(EmbedderConfig(**OPENAI))
    monkeypatch.delenv("OPENAI_API_KEY")
    with pytest.raises(ConfigError, match="OPENAI_API_KEY is not set"):
        build_embedder(EmbedderConfig(**OPENAI | {"price_usd_per_mtok": "free"}))
