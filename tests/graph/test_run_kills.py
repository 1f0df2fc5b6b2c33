"""Runs that are killed at random statements of their databases end as if nothing had happened."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from doubles.mortal_run import Death, carry_on

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


def test_a_run_that_is_killed_again_and_again_ends_the_same(
    config, undisturbed, tmp_path, outcome
):
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
