"""`labelwright evaluate`: figures of a run, and models held to people."""

import csv
import json

import numpy as np
import pytest
from typer.testing import CliRunner

from labelwright.app.cli import app
from labelwright.graph import run
from labelwright.graph.config import parse_config


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A run on whose audits three people and two models have voted."""
    home = tmp_path_factory.mktemp("people")
    rng = np.random.default_rng(0)
    labels = ("sour", "sweet")
    truth = {f"t{n}": labels[rng.integers(2)] for n in range(200)}
    accuracy = {"good": 0.97, "bad": 0.55, "ann": 0.85, "bob": 0.85, "cas": 0.85}
    with (home / "votes.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(["item_id", *accuracy])
        for item, label in truth.items():
            other = labels[label == labels[0]]
            said = [label if rng.random() < a else other for a in accuracy.values()]
            table.writerow([item, *said])
    with (home / "pool.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(
            [["id", "text"], *([item, f"{truth[item]} fruit {item}"] for item in truth)]
        )
    voters = [
        {
            "kind": "recorded",
            "name": name,
            "path": "votes.csv",
            "tier": tier,
            "price": {"free": True},
            "person": name in {"ann", "bob", "cas"},
        }
        for tier, name in enumerate(accuracy, 1)
    ]
    config = {
        "task": {"name": "fruit", "labels": [{"name": label} for label in labels]},
        "data": {"path": "pool.csv", "id": "id"},
        "annotators": voters,
        "selection": {"batch_size": 10},
        "critic": {"audit_first": 80},
        "stopping": {"max_rounds": 1, "stop_set_size": 50},
        "budget": {"usd": 1},
    }
    return run(parse_config(config, folder=home), name="fruit", runs=home / "runs").folder


def said(*arguments):
    result = CliRunner().invoke(app, ["evaluate", *arguments])
    return result.exit_code, " ".join(result.output.split())


def test_models_are_held_to_people(folder):
    code, text = said(str(folder), "--alt-test")
    assert code == 0
    assert "good: may replace the people (wins against 100% of them" in text
    assert "bad: may not replace the people (wins against 0% of them" in text
    assert "against ann" in text
    assert "p < 0.0001" in text
    assert "p = 0.0000" not in text
    assert "person: true" not in text
    code, text = said(str(folder), "--alt-test", "--people", "crowd", "--json")
    assert json.loads(text)["alt_test"]["good"]["replaces"] is True


def test_figures_without_people(folder):
    code, text = said(str(folder))
    assert code == 0
    assert "Label accuracy, audit" in text
    code, text = said(str(folder), "--json")
    assert json.loads(text)["name"] == "fruit"


def test_why_it_can_not_be_said(folder, tmp_path):
    config = (folder / "run.yaml").read_text(encoding="utf-8")
    (tmp_path / "again.yaml").write_text(
        config.replace("person: true", "person: false", 1), encoding="utf-8"
    )
    outcome = run(tmp_path / "again.yaml", name="two", runs=tmp_path)
    code, text = said(str(outcome.folder), "--alt-test")
    assert code == 0
    assert "good: can not be said, 2 people have voted; it takes 3 or more." in text
    assert text.count("of kind human, or of kind recorded with `person: true`") == 1
