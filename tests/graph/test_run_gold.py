"""Gold is for evaluation alone: whatever it says, the run is the same."""

import csv
from pathlib import Path

import numpy as np
import pytest
from doubles.scripted_models import Models, usd

from labelwright.graph import run
from labelwright.graph.config import parse_config
from labelwright.tools.gold import Gold

CANARIES = {name: f"{name}-7c1f93" for name in ("billing", "technical", "shipping", "praise")}


@pytest.fixture
def go(corpus, openai_server, tmp_path):
    """Run with a permuted gold column of labels that stand nowhere in the texts."""

    def go(name, seed):
        source = corpus.folder / "pool.csv"
        with source.open(newline="", encoding="utf-8") as file:
            header, *rows = csv.reader(file)
        gold = [CANARIES[row[2]] for row in rows]
        if seed:
            gold = np.random.default_rng(seed).permutation(gold).tolist()
        folder = tmp_path / name
        folder.mkdir()
        with (folder / "pool.csv").open("w", newline="", encoding="utf-8") as file:
            table = [[row[0], row[1], label] for row, label in zip(rows, gold, strict=True)]
            csv.writer(file).writerows([header, *table])
        texts = {i: text for i, text in corpus.texts.items() if i not in corpus.same}
        truth = {i: CANARIES[label] for i, label in corpus.gold.items()}
        openai_server.script = Models(texts, truth, tuple(CANARIES.values()))
        model = {"base_url": openai_server.url, "max_output_tokens": 300, "concurrency": 4}
        agent = {**model, "model": "agent", "price": usd("agent"), "usd_per_decision": 1}
        chat = [
            {**model, "kind": "chat", "name": n, "model": n, "tier": t, "price": usd(n)}
            for t, n in enumerate(("weak", "solid"), 1)
        ]
        settings = corpus.settings(
            annotators=chat,
            selection={"batch_size": 12, "model": agent},
            critic={"audit_first": 6, "model": agent},
            stopping={"max_rounds": 2, "stop_set_size": 50},
        )
        settings["task"] = {"name": "t", "labels": [{"name": name} for name in CANARIES.values()]}
        result = run(parse_config(settings, folder=folder), name="run", runs=folder)
        served = [served.request["messages"] for served in openai_server.chats]
        openai_server.served.clear()
        return result, served

    return go


def test_permuted_gold_changes_nothing_but_the_evaluation(go, outcome):
    (first, asked), (second, asked_then) = go("right", 0), go("permuted", 5)
    assert outcome(first.folder).decided() == outcome(second.folder).decided()
    assert sorted(map(repr, asked)) == sorted(map(repr, asked_then))
    figures = [result.summary["quality"].pop("gold") for result in (first, second)]
    assert figures[0]["accuracy"]["estimate"] > 0.8 > 0.5 > figures[1]["accuracy"]["estimate"]
    for summary in (first.summary, second.summary):
        for key in ("seconds", "files", "name"):
            summary.pop(key)
    assert first.summary == second.summary
    with Gold(second.folder / "gold.sqlite") as gold:
        assert set(gold.get_all().values()) == set(CANARIES.values())


def test_gold_that_is_no_label_is_in_no_prompt_and_no_file_but_its_own(corpus, tmp_path, outcome):
    source = (corpus.folder / "pool.csv").read_text(encoding="utf-8")
    marked = source.replace(",billing\n", ",xq-canary-xq\n")
    assert marked.count("xq-canary-xq") > 20
    folder = tmp_path / "marked"
    folder.mkdir()
    (folder / "pool.csv").write_text(marked, encoding="utf-8")
    (folder / "votes.csv").write_bytes((corpus.folder / "votes.csv").read_bytes())
    config = parse_config(corpus.settings(stopping={"max_rounds": 1}), folder=folder)
    result = run(config, name="run", runs=tmp_path)
    holders = {
        path.name
        for path in Path(result.folder).rglob("*")
        if path.is_file() and b"xq-canary-xq" in path.read_bytes()
    }
    # The ledger says how many rows had a gold value outside the label set, for the person.
    assert {name.split("-")[0] for name in holders} <= {"gold.sqlite", "ledger.sqlite"}
    places = outcome(result.folder).sql(
        "SELECT DISTINCT kind FROM decisions WHERE decision || evidence LIKE '%canary%'"
    )
    assert places == [("ingest",)]
