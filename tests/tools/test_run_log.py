"""The ledger's log: orders, and what a step has decided."""

import pytest

from labelwright.tools.errors import LedgerError
from labelwright.tools.ledger import Decision, Ledger


@pytest.fixture
def ledger(tmp_path):
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        yield ledger


def test_directives_are_found_by_kind_and_by_whether_they_wait(ledger):
    for kind, payload in (("cap", {"usd": 1}), ("stop", None), ("cap", {"usd": 2})):
        ledger.log.direct(kind, payload)
    ledger.log.acknowledge(1, "the cap is $1")
    assert [(d.seq, d.payload) for d in ledger.log.directives("cap")] == [
        (1, {"usd": 1}),
        (3, {"usd": 2}),
    ]
    assert [d.seq for d in ledger.log.directives("cap", pending=True)] == [3]
    assert [d.seq for d in ledger.log.directives(pending=True)] == [2, 3]
    assert ledger.log.directives("focus") == []
    times = [d.at for d in ledger.log.directives()]
    assert times == sorted(times)
    assert all(time.endswith("+00:00") for time in times)


def test_what_a_step_has_decided_is_found_by_its_number(ledger):
    made = [Decision(step, 1, agent, "k", {"n": step}, None) for step in (1, 2) for agent in "ab"]
    for one in made:
        ledger.log.decide(one)
    assert ledger.log.decided_at(2) == made[2:]
    assert ledger.log.decided_at(3) == []


def test_an_order_that_json_can_not_say_is_refused_and_not_written(ledger):
    with pytest.raises(LedgerError, match="cap: the order can not be written down"):
        ledger.log.direct("cap", {"usd": float("nan")})
    assert ledger.log.directives() == []
