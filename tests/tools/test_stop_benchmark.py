"""The benchmark of the stop rule on a made-up set, so that it can not rot."""

import importlib.util
import json
import sys
from pathlib import Path

import numpy as np
import pytest

FOLDER = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture(scope="module")
def script():
    loaded = {}
    # As a script finds its neighbours: by name, in its own folder.
    for name in ("recorded_sets", "trajectories", "stop_rule"):
        spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
        module = importlib.util.module_from_spec(spec)
        loaded[name] = sys.modules[name] = module
        spec.loader.exec_module(module)
    yield loaded["stop_rule"]
    for name in loaded:
        del sys.modules[name]


@pytest.fixture
def data(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path / "kept"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "kept"))
    folder = tmp_path / "data" / "tiny"
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    words = {"sport": "goal match team win cup", "art": "paint museum canvas colour frame"}
    rows = []
    for number in range(240):
        gold = list(words)[number % 2]
        text = " ".join([*rng.choice(words[gold].split(), 3), str(number)])
        rows.append({"id": f"i{number}", "text": text, "gold": gold})
    (folder / "pool.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "labels.json").write_text(
        json.dumps({"task": "topic", "labels": [{"name": name} for name in words]})
    )
    return tmp_path / "data"


def test_curves_are_kept_and_every_rule_is_scored(script, data, monkeypatch):
    settings = [
        script.Setting("tiny", noisy, selection, 0)
        for noisy in (False, True)
        for selection in ("policy", "random")
    ]
    curves = script.curves_of(data, settings, None, 1)
    for curve in curves:
        assert curve.labels.tolist() == [50, 100, 120]
        assert curve.predictions.shape == (3, 40)
        assert curve.accuracy[-1] > 0.8
        assert curve.right.shape == (len(curve.labels), 80)
    monkeypatch.setattr(sys.modules["trajectories"], "_compute", None)
    again = script.curves_of(data, settings, None, 1)
    assert all((a.proba == b.proba).all() for a, b in zip(again, curves, strict=True))
    lines = script.report(curves).splitlines()
    figures = json.loads(lines[-1])
    assert figures["all"]["sets"] == ["tiny"]
    assert figures["all"]["cost plateau"]["mean"] >= 0
    assert set(script.STOP_RULES) - {one.rule for one in script.CONTENDERS} == {"fixed_budget"}
    own = script.costs(curves[0], 10_000)
    assert script.score(curves[0], 10_000, int(own.argmin()) + 1).excess == 0
    with_fee, free = (script.score(curves[0], 10_000, 1, fee=fee) for fee in (5, 0))
    assert with_fee.excess > free.excess
    assert with_fee.no_luck > free.no_luck


def test_the_best_stop_of_one_half_is_measured_on_the_other(script):
    right = np.zeros((3, 8), bool)
    # Errors of the first half: 2, 1, 2; of the second: 2, 3, 1. In all 4, 4, 3.
    for round_, wrong in enumerate(([0, 1, 4, 5], [0, 4, 5, 6], [0, 1, 7])):
        right[round_] = ~np.isin(np.arange(8), wrong)
    empty = np.empty((3, 0))
    curve = script.Trajectory(
        script.Setting("made", False, "random", 0),
        empty,
        empty,
        np.asarray([10, 20, 30]),
        right,
        np.empty(0),
        np.zeros(3),
        ("random",) * 3,
    )
    # With A = 100: 60, 70, 67.5 in all; 60, 45, 80 on one half and 60, 95, 55 on the other.
    assert script.score(curve, 100, 3).excess == pytest.approx(12.5)
    # Each half against the round that is best on the other: the third and the second.
    assert script.score(curve, 100, 3).no_luck == pytest.approx(50 * (80 / 80 + 55 / 95 - 2))
    assert script.score(curve, 100, 1).no_luck == pytest.approx(50 * (60 / 80 + 60 / 95 - 2))
    assert script.score(curve, 100, None) == script.score(curve, 100, 3)


def test_noise_is_in_the_hardest_tenth(script, data):
    found = script.load_set(data, "tiny")
    noisy = sys.modules["trajectories"].noisy_labels(found, 0)
    assert (noisy != found.gold).sum() == 24
