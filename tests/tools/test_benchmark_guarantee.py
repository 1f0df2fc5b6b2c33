"""The benchmark of the guarantee on a tiny made-up set, so that it can not rot."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

from labelwright.tools.task import TaskConfig

FOLDER = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture(scope="module")
def scripts():
    found = []
    sys.path.insert(0, str(FOLDER))
    try:
        for name in ("recorded_sets", "guarantee"):
            spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
            module = importlib.util.module_from_spec(spec)
            before = sys.modules.get(name)
            sys.modules[name] = module
            spec.loader.exec_module(module)
            found.append((name, before, module))
        yield [module for _, _, module in found]
    finally:
        sys.path.remove(str(FOLDER))
        for name, before, _ in found:
            sys.modules.pop(name)
            if before is not None:
                sys.modules[name] = before


def test_every_figure_is_there(scripts, capsys):
    sets, guarantee = scripts
    rng = np.random.default_rng(0)
    gold = rng.integers(3, size=240)
    votes = np.where(rng.random((240, 4)) < 0.8, gold[:, None], rng.integers(3, size=(240, 4)))
    loaded = sets.RecordedSet(
        name="made up",
        task=TaskConfig(name="made up", labels=[{"name": n} for n in "abc"]),
        ids=[str(n) for n in range(240)],
        texts=[str(n) for n in range(240)],
        gold=gold,
        annotators=list("wxyz"),
        votes=votes,
        outside=np.zeros_like(votes, bool),
        usd_in=np.zeros(4),
        usd_out=np.zeros(4),
    )
    found = guarantee.measure(loaded, draws=12, audits=[60, 400], errors=[0.1, 0.3])
    rows = {(r["audits"], r["error"], r["rule"]): r for r in found["guarantee"]}
    assert {audits for audits, _, _ in rows} == {60, 120}  # no more than half of the pool
    for (_, _, rule), row in rows.items():
        assert 0 <= row["broken_low"] <= row["broken"] <= row["broken_high"] <= 1
        assert rule != "oracle" or row["broken"] == 0
    assert rows[120, 0.3, "guarantee"]["accepted"] > 0.3
    assert rows[120, 0.3, "guarantee"]["accepted"] <= rows[120, 0.3, "oracle"]["accepted"] + 0.05
    widths = {(r["audits"], r["what"]): r["width"] for r in found["intervals"]}
    assert widths[60, "accuracy, exact"] > widths[120, "accuracy, exact"]
    guarantee.show(loaded, found)
    assert "guarantee (pool)" in capsys.readouterr().out
