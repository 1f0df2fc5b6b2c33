"""Runs that are killed at random statements of their databases end as if nothing had happened."""

import json
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from doubles.mortal_run import Death, carry_on
from doubles.scripted_models import Models, usd

# (event, from which round on, most statements after it): ordered as they come in a run.
STAGES = [
    ("reading", 0, 6),  # ingest
    ("ingested", 0, 12),
    ("selected", 1, 40),  # annotate
    ("answers", 1, 25),
    ("ruled", 1, 40),  # critique, and the next answers
    ("trained", 1, 25),  # decide
    ("decided", 1, 25),
    ("selected", 2, 60),
    ("ruled", 2, 40),
    ("trained", 2, 25),
    ("decided", 2, 25),
    ("sweep", 0, 40),
    ("trained", 3, 50),  # deliver
]
KILLS, IN_A_ROW = 20, 6


@pytest.fixture(scope="module")
def config(corpus):
    return corpus.write("killed.yaml", stopping={"max_rounds": 2, "stop_set_size": 50})


@pytest.fixture(scope="module")
def undisturbed(config, tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed") / "run"
    assert carry_on(config, folder) == 0
    return folder


def chain(config, folder):
    """Kill a run at random places in their order, carry it to its end; returns how many kills."""
    rng = np.random.default_rng(int(folder.name))
    places = sorted(rng.choice(len(STAGES), IN_A_ROW, replace=False).tolist())
    deaths = [Death(e, r, int(rng.integers(most))) for e, r, most in (STAGES[p] for p in places)]
    codes = []
    # A place that the last kill came too late for is not met again: the run ends there.
    for death in [*deaths, None]:
        codes.append(carry_on(config, folder, death))
        if codes[-1] != -9:
            break
    assert codes[-1] == 0, codes
    return len(codes) - 1


def test_a_run_that_is_killed_again_and_again_ends_the_same(config, undisturbed, tmp_path, outcome):
    folders, kills = [], 0
    with ThreadPoolExecutor(2) as pool:
        while kills < KILLS:
            pair = [tmp_path / str(len(folders) + number) for number in range(2)]
            kills += sum(pool.map(lambda folder: chain(config, folder), pair))
            folders += pair
    wanted, calls = outcome(undisturbed).decided(), _calls(outcome(undisturbed))
    for folder in folders:
        seen = outcome(folder)
        assert seen.decided() == wanted
        assert _calls(seen) == calls


def test_people_are_asked_and_paid_once_through_kills(corpus, tmp_path, outcome):
    person = {"kind": "human", "name": "ann", "price": {"per_label": 0.1}}
    config = corpus.write(
        "people.yaml",
        annotators=[corpus.recorded("cheap", 1), person],
        stopping={"max_rounds": 2, "stop_set_size": 50},
        # The last answers are those that the cap still pays for.
        budget={"usd": 1.55},
    )
    lines = [json.dumps({"item_id": i, "label": label}) for i, label in corpus.gold.items()]
    for name in ("whole", "killed"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "answers.jsonl").write_text("\n".join(lines) + "\n")
    assert carry_on(config, tmp_path / "whole") == 0
    # After a ruling come the question, the answers and the next ruling.
    deaths = [Death("ruled", 1, n) for n in (3, 9, 17, 26, 38)]
    codes = [carry_on(config, tmp_path / "killed", death) for death in [*deaths, None]]
    assert codes[:3] == [-9] * 3
    assert codes[-1] == 0
    assert outcome(tmp_path / "killed").decided() == outcome(tmp_path / "whole").decided()


def test_a_model_is_never_asked_again_for_what_was_settled(
    corpus, openai_server, tmp_path, outcome
):
    texts = {i: text for i, text in corpus.texts.items() if i not in corpus.same}
    models = openai_server.script = Models(texts, corpus.gold, corpus.labels)
    chat = {"kind": "chat", "base_url": openai_server.url, "max_output_tokens": 64, "retries": 1}
    config = corpus.write(
        "chat.yaml",
        annotators=[
            {**chat, "name": name, "model": name, "tier": tier, "price": usd(name)}
            for tier, name in enumerate(("weak", "solid"), 1)
        ],
        selection={"batch_size": 40},
        stopping={"max_rounds": 1, "stop_set_size": 50},
    )
    assert carry_on(config, tmp_path / "whole") == 0
    models.asked.clear()
    openai_server.served.clear()
    folder = tmp_path / "killed"
    deaths = [Death("selected", 1, 90), Death("start", 0, 200), Death("start", 0, 320), None]
    assert [carry_on(config, folder, death) for death in deaths] == [-9, -9, -9, 0]
    seen, whole = outcome(folder), outcome(tmp_path / "whole")
    assert seen.decided() == whole.decided()
    # Asked twice is only what was under way when a kill came, and that is held to be in doubt.
    doubtful = seen.sql(
        "SELECT annotator, items FROM calls JOIN settlements USING(call_id) "
        "WHERE outcome = 'unknown' AND annotator IS NOT NULL"
    )
    assert doubtful
    sure = set(models.asked) - {(name, json.loads(items)[0]) for name, items in doubtful}
    assert len(sure) > 30
    assert {models.asked[key] for key in sure} == {1}
    with seen.ledger() as ledger, whole.ledger() as other:
        assert ledger.balance().uncertain > 0 == other.balance().uncertain
        assert ledger.balance().spent == other.balance().spent <= models.charged(openai_server)


def _calls(seen):
    """Every call with how it ended: what was settled must not have been asked again."""
    rows = seen.sql(
        "SELECT request_key, try_no, items, requests, outcome, cost FROM calls "
        "LEFT JOIN settlements USING(call_id) ORDER BY request_key, try_no"
    )
    twice = seen.sql(
        "SELECT item_id FROM votes GROUP BY item_id, annotator, prompt_hash, attempt "
        "HAVING count(*) > 1"
    )
    assert twice == []
    return rows
