"""Pools that are too small for a stop set, from end to end."""

import pytest

from labelwright.graph import run


@pytest.mark.parametrize("n", [2, 4, 7, 8])
def test_a_tiny_pool_is_labelled_and_delivered(new_corpus, tmp_path, outcome, n):
    corpus = new_corpus(n, duplicates=0)
    # Several rounds, so that there are checks with a whole window behind them.
    config = corpus.config(
        selection={"batch_size": 1},
        critic={"audit_first": 1},
        stopping={"max_rounds": 6, "window": 1},
    )
    result = run(config, name="run", runs=tmp_path)
    assert result.status == "finished"
    rows = outcome(result.folder).labels
    assert [row["id"] for row in rows] == list(corpus.gold)
    assert {row["outcome"] for row in rows} <= {"accept", "set_apart"}
    checks = [evidence["check"] for evidence in result.summary["stop_checks"]]
    assert {check["stop_set"] for check in checks if check} <= ({2} if n == 8 else {0})
    assert (result.folder / "report.html").exists()
