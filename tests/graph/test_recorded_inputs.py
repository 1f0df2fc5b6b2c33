"""Recorded votes that do not belong to the data cost nothing."""

import pytest

from labelwright.graph import plan, run
from labelwright.graph.inputs import check_recorded
from labelwright.tools.errors import DataError


def test_votes_on_other_texts_are_refused_before_anything_is_paid(corpus, tmp_path):
    config = corpus.config()
    check_recorded(config)
    strangers = corpus.config(data={**config.data.model_dump(mode="json"), "id": None})
    for refused in (check_recorded, plan, lambda it: run(it, name="run", runs=tmp_path)):
        with pytest.raises(DataError, match=r"on other texts.*data\.id names the column") as raised:
            refused(strangers)
        assert next(iter(corpus.gold)) in str(raised.value)
    assert not (tmp_path / "run").exists()
