"""The benchmark of aggregation, on a set small enough to know what must come out."""

import importlib.util
import json
import sys
from pathlib import Path

import numpy as np
import pytest

FOLDER = Path(__file__).parents[1] / "benchmarks"
pytestmark = pytest.mark.filterwarnings("ignore")  # of crowd-kit and cleanlab, called as they are


@pytest.fixture(scope="module")
def benchmark():
    pytest.importorskip("crowdkit.aggregation")
    pytest.importorskip("cleanlab.multiannotator")
    sys.path.insert(0, str(FOLDER))
    spec = importlib.util.spec_from_file_location(
        "benchmark_of_aggregation", FOLDER / "aggregation.py"
    )
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    yield module
    sys.path.remove(str(FOLDER))
    del sys.modules[spec.name]


@pytest.fixture
def data(tmp_path):
    """300 items of 3 labels; three copies that err, one good annotator."""
    rng = np.random.default_rng(0)
    names = ["a", "b", "c"]
    gold = rng.integers(0, 3, 300)
    copy = np.where(rng.random(300) < 0.55, gold, (gold + 1) % 3)
    good = np.where(rng.random(300) < 0.9, gold, (gold + 2) % 3)
    folder = tmp_path / "made_up"
    folder.mkdir()
    rows = [
        {"id": str(i), "text": f"{names[g]} {rng.integers(1000)}", "gold": names[g]}
        for i, g in enumerate(gold)
    ]
    (folder / "pool.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    labels = [{"name": name, "description": f"Kind {name}."} for name in names]
    (folder / "labels.json").write_text(json.dumps({"task": "kinds", "labels": labels}))
    votes = np.stack([copy, copy, copy, good], 1)
    lines = ["item_id,gold,one,two,three,good"]
    lines += [
        ",".join([str(i), names[g], *(names[v] for v in votes[i])]) for i, g in enumerate(gold)
    ]
    (folder / "annotations_wide.csv").write_text("\n".join(lines) + "\n")
    return tmp_path


def test_audits_let_one_good_annotator_outvote_three_copies(benchmark, data):
    loaded = benchmark.load_set(data, "made_up")
    loaded.__dict__["vectors"] = np.random.default_rng(1).normal(size=(300, 8)).astype(np.float32)
    text = benchmark.TextSignal(loaded.vectors)
    figures = {
        (4, audits, method, figure): [(0, value)]
        for audits, method, figure, value in benchmark.one_draw(loaded, text, 4, 0, (1, 0))
    }
    table = benchmark.summarise(figures, 100)
    accuracy = {method: row["accuracy"]["mean"] for method, row in table.items()}
    assert accuracy["labelwright"] > 0.85
    assert accuracy["majority"] < 0.65
    assert accuracy["labelwright"] >= accuracy["best single"] - 0.02
    assert table["majority"]["difference"] == pytest.approx(
        accuracy["labelwright"] - accuracy["majority"], abs=1e-4
    )
    assert set(accuracy) == {
        "labelwright", "labelwright, no text", "labelwright, one vote each", "majority",
        "best single", "Dawid-Skene", "Dawid-Skene (crowd-kit)", "Dawid-Skene + gold",
        "CROWDLAB", "one-coin",
    }  # fmt: skip
    assert table["labelwright"]["ECE"]["mean"] < 0.2
    assert "ECE" not in benchmark.summarise(figures, 0)["labelwright"]


def test_the_text_of_an_item_is_judged_without_its_own_votes(benchmark):
    """Labels drawn by lot can not be foretold, however many dimensions the vectors have."""
    rng = np.random.default_rng(2)
    votes = rng.integers(0, 2, (200, 1))
    text = benchmark.TextSignal(rng.normal(size=(200, 150)).astype(np.float32))
    assert (text.proba(votes, 2).argmax(axis=1) == votes[:, 0]).mean() < 0.65
