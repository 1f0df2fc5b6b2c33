"""Probabilities that heed the labels of neighbours, in a run."""

import numpy as np

from labelwright.graph import run
from labelwright.graph.session import open_run


def test_a_run_looks_at_neighbours_where_it_is_told_to(corpus, tmp_path):
    quick = {"max_rounds": 1, "stop_set_size": 50}
    heeding = {"audit_first": 60, "neighbour_agreement": True}
    result = run(corpus.config(critic=heeding, stopping=quick), name="run", runs=tmp_path)
    with open_run(result.folder, notify=lambda _: None, stopping=lambda: False) as ctx:
        fit = ctx.latest_fit(10**6)
        nearby = ctx.panel(60, fit).lessons.nearby
        ids = ctx.audit_ids(60)
        gold = np.asarray([ctx.labels.index(corpus.gold[item]) for item in ids])
        assert nearby(ids, gold).mean() > nearby(ids, (gold + 1) % len(ctx.labels)).mean()
        assert ctx.panel(60, None).lessons.nearby is None
        ctx.config = corpus.config(critic={"audit_first": 60}, stopping=quick)
        assert ctx.panel(60, fit).lessons.nearby is None
