"""The ledger: append-only, exact, and never above a cap."""

import sqlite3
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from labelwright.tools.errors import BudgetExceeded, LedgerError
from labelwright.tools.ledger import (
    Balance,
    Call,
    Caps,
    Consensus,
    Decision,
    Ledger,
    Settlement,
    Vote,
)
from labelwright.tools.ledger.schema import APPEND_ONLY

VOTE = Vote("i1", "a", "spam", None, "h", 0, "label", 1, cost=7, confidence=0.5, reason="r")
ANSWERED = Settlement("answered", 10, 3, 2, 1, 0.5, {"b": 1, "a": [None, "é"]}, None)


def call(key: str = "k", **more: object) -> Call:
    return replace(Call(key, "annotator", "a", "m", "label", 1, ("i1",), "h"), **more)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger(tmp_path / "l.sqlite", Caps(money=1_000)) as ledger:
        yield ledger


def fill(ledger: Ledger) -> None:
    """At least one row in every table."""
    ledger.record(call(), ANSWERED, [VOTE])
    ledger.votes.conclude(1, 1, [Consensus("i1", "spam", 0.9, False, "model", "accept", "r", {})])
    ledger.log.decide(Decision(1, 1, "critic", "rulings", {"x": 1}, {"y": 2}))
    ledger.log.close_round(1, {"accuracy": 0.5}, np.arange(3, dtype=np.int32))
    ledger.log.say(
        round=1, agent="critic", purpose="p", step=0, part=0, role="user", content="hello"
    )
    ledger.log.acknowledge(ledger.log.direct("stop"), "stopping")


def sums(ledger: Ledger) -> Balance:
    """The account worked out anew from the calls and how they ended."""
    spent = reserved = uncertain = tokens = tokens_reserved = requests = 0
    for bound, bound_tokens, n, outcome, cost, used in ledger._store.rows(
        "SELECT bound, bound_tokens, requests, outcome, coalesce(cost, 0), "
        "coalesce(tokens_in + tokens_out, 0) FROM calls LEFT JOIN settlements USING(call_id)"
    ):
        requests += n
        spent += cost
        tokens += used
        if outcome is None:
            reserved += bound
            tokens_reserved += bound_tokens
        elif outcome == "unknown":
            uncertain += max(0, bound - cost)
            tokens_reserved += max(0, bound_tokens - used)
    return Balance(spent, reserved, uncertain, tokens, tokens_reserved, requests)


# -- append-only --


def test_every_table_is_append_only(ledger):
    fill(ledger)
    tables = {name for (name,) in ledger._store.rows(
        "SELECT name FROM sqlite_master WHERE type = 'table'"
    )}  # fmt: skip
    assert tables == set(APPEND_ONLY)
    before = {table: ledger._store.rows(f"SELECT * FROM {table}") for table in APPEND_ONLY}
    assert all(before.values())
    for table in APPEND_ONLY:
        column = ledger._store.rows(f"SELECT name FROM pragma_table_info('{table}')")[0][0]
        for sql in (
            f"UPDATE {table} SET {column} = {column}",
            f"DELETE FROM {table}",
            f"INSERT OR REPLACE INTO {table} SELECT * FROM {table}",
        ):
            with (
                pytest.raises(sqlite3.IntegrityError, match=f"append-only: {table}"),
                ledger._store.transaction() as db,
            ):
                db.execute(sql)
    assert before == {table: ledger._store.rows(f"SELECT * FROM {table}") for table in APPEND_ONLY}


def test_what_was_decided_is_not_decided_anew(ledger):
    fill(ledger)
    digest = ledger.log.digest()
    ledger.log.decide(Decision(1, 1, "critic", "rulings", {"x": 99}, {}))
    ledger.votes.conclude(1, 1, [Consensus("i1", "ham", 0.1, True, "model", "accept", "s", {})])
    ledger.log.close_round(1, {"accuracy": 1.0}, np.zeros(3, np.int32))
    ledger.log.acknowledge(1, "again")
    assert ledger.log.digest() == digest
    assert [c.label for c in ledger.votes.history("i1")] == ["spam"]
    assert ledger.log.rounds()[0][1] == {"accuracy": 0.5}
    assert ledger.log.rounds()[0][2].tolist() == [0, 1, 2]
    assert ledger.log.directives()[0].acknowledged == "stopping"
    assert ledger.log.directives(pending=True) == []


# -- reserve, settle, record --


class Account(RuleBasedStateMachine):
    """Random reservations and settlements, whose costs keep to their bounds."""

    caps = Caps(money=300, tokens=200, requests=30)

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.ledger = Ledger(Path(self.folder.name) / "l.sqlite", self.caps)
        self.open: dict[int, tuple[int, int]] = {}
        self.keys = 0

    @rule(bound=st.integers(0, 120), tokens=st.integers(0, 80), requests=st.integers(0, 3))
    def reserve(self, bound, tokens, requests):
        before = self.ledger.balance()
        fits = (
            (not bound or before.committed + bound <= self.caps.money)
            and (not tokens or before.tokens + before.tokens_reserved + tokens <= self.caps.tokens)
            and (not requests or before.requests + requests <= self.caps.requests)
        )
        self.keys += 1
        try:
            call_id = self.ledger.reserve(
                call(str(self.keys), requests=requests), bound, try_no=0, bound_tokens=tokens
            )
        except BudgetExceeded:
            assert not fits
            assert self.ledger.balance() == before
        else:
            assert fits
            self.open[call_id] = bound, tokens

    @precondition(lambda self: self.open)
    @rule(data=st.data(), outcome=st.sampled_from(["answered", "refused_by_server", "unknown"]))
    def settle(self, data, outcome):
        call_id = data.draw(st.sampled_from(sorted(self.open)))
        bound, tokens = self.open.pop(call_id)
        cost, used = data.draw(st.integers(0, bound)), data.draw(st.integers(0, tokens))
        self.ledger.settle(call_id, Settlement(outcome, cost, tokens_in=used))
        with pytest.raises(LedgerError, match="settled already"):
            self.ledger.settle(call_id, Settlement(outcome))

    @rule()
    def recover(self):
        assert self.ledger.recover() == len(self.open)
        self.open.clear()

    @invariant()
    def no_cap_is_passed(self):
        balance = self.ledger.balance()
        assert balance.committed <= self.caps.money
        assert balance.tokens + balance.tokens_reserved <= self.caps.tokens
        assert balance.requests <= self.caps.requests
        assert min(balance.__dict__.values()) >= 0

    @invariant()
    def the_account_equals_the_tables(self):
        assert self.ledger.balance() == sums(self.ledger)
        assert self.ledger.left() == self.caps.money - self.ledger.balance().committed

    def teardown(self):
        self.ledger.close()
        self.folder.cleanup()


TestAccount = Account.TestCase
TestAccount.settings = settings(max_examples=20, stateful_step_count=30, deadline=None)


def test_a_call_without_an_answer_counts_against_every_cap(tmp_path):
    with Ledger(tmp_path / "l.sqlite", Caps(money=100, tokens=100)) as ledger:
        first = ledger.reserve(call("a"), 60, try_no=0, bound_tokens=10)
        ledger.settle(first, Settlement("unknown"))
        with pytest.raises(BudgetExceeded, match="money cap"):
            ledger.reserve(call("b"), 41, try_no=0, bound_tokens=10)
        with pytest.raises(BudgetExceeded, match="token cap"):
            ledger.reserve(call("b"), 40, try_no=0, bound_tokens=91)
        ledger.reserve(call("b"), 40, try_no=0, bound_tokens=90)


def test_what_costs_nothing_goes_on_below_a_lowered_cap(tmp_path):
    path = tmp_path / "l.sqlite"
    with Ledger(path) as ledger:
        ledger.record(call("a"), Settlement("answered", 50, 10), [])
    with Ledger(path, Caps(money=20, tokens=5)) as ledger:
        assert ledger.left() == -30
        ledger.record(call("b"), Settlement("answered"), [VOTE])
        with pytest.raises(BudgetExceeded):
            ledger.record(call("c"), Settlement("answered", 1), [])


def test_a_try_is_reserved_once(ledger):
    ledger.reserve(call(), 1, try_no=0, bound_tokens=1)
    with pytest.raises(LedgerError, match="in the ledger already"):
        ledger.reserve(call(), 1, try_no=0, bound_tokens=1)
    ledger.reserve(call(), 1, try_no=1, bound_tokens=1)
    assert ledger.tries("k") == 2
    assert ledger.tries("other") == 0


def test_an_unknown_call_can_not_be_settled(ledger):
    with pytest.raises(LedgerError, match="never reserved"):
        ledger.settle(7, ANSWERED)


def test_only_an_answer_answers(ledger):
    for number, outcome in enumerate(("refused_by_server", "unknown")):
        call_id = ledger.reserve(call(), 20, try_no=number, bound_tokens=5)
        assert ledger.answered("k") is None
        ledger.settle(call_id, Settlement(outcome, error="no"))
        assert ledger.answered("k") is None
    call_id = ledger.reserve(call(), 20, try_no=2, bound_tokens=5)
    ledger.settle(call_id, ANSWERED)
    assert ledger.answered("k") == ANSWERED
    assert ledger.answered("other") is None


@pytest.mark.parametrize(
    "bad",
    [
        [VOTE, VOTE],
        [replace(VOTE, item_id="i9", label=None)],
        [replace(VOTE, item_id="i9", invalid="truncated")],
        [replace(VOTE, item_id="i2"), replace(VOTE, item_id="i1", label="ham")],
    ],
)
def test_record_is_all_or_nothing(ledger, bad):
    ledger.record(call("before"), Settlement("answered"), [VOTE])
    before = ledger.balance(), ledger.votes.all(), ledger.tries("k")
    with pytest.raises(LedgerError, match="votes of a are refused"):
        ledger.record(call(), ANSWERED, bad)
    assert (ledger.balance(), ledger.votes.all(), ledger.tries("k")) == before
    ledger.record(call(), ANSWERED, [replace(VOTE, item_id="i3")])


def test_record_over_the_cap_writes_nothing(ledger):
    with pytest.raises(BudgetExceeded):
        ledger.record(call(), replace(ANSWERED, cost=1_001), [VOTE])
    assert ledger.balance() == Balance()
    assert ledger.votes.count() == 0


@pytest.mark.parametrize(
    ("field", "value"),
    [("item_id", "i2"), ("annotator", "b"), ("prompt_hash", "h2"), ("attempt", 1)],
)
def test_a_vote_is_one_of_item_annotator_prompt_and_attempt(ledger, field, value):
    ledger.record(call("1"), ANSWERED, [VOTE])
    ledger.record(call("2"), ANSWERED, [replace(VOTE, **{field: value})])
    for field_, value_ in (("label", "ham"), ("purpose", "audit"), ("round", 2), ("cost", 1)):
        with pytest.raises(LedgerError):
            ledger.record(call("3"), ANSWERED, [replace(VOTE, **{field_: value_})])
    assert ledger.votes.count() == 2


def test_votes_come_back_as_they_went_in(ledger):
    wrong = replace(VOTE, item_id="i0", label=None, invalid="truncated", confidence=None)
    again = replace(VOTE, attempt=1, label="ham")
    ledger.record(call("1"), ANSWERED, [VOTE, wrong])
    ledger.record(call("2"), ANSWERED, [again])
    assert ledger.votes.all() == [wrong, VOTE, again]
    assert ledger.votes.of_items(["i1", "no", "i1"]) == {"i1": [VOTE, again], "no": []}
    many = ["i1", *(f"x{n}" for n in range(12_000)), "i1"]
    assert ledger.votes.of_items(many)["i1"] == [VOTE, again]
    assert ledger.votes.attempts("a", ["i0", "i1", "no"]) == {"i0": 1, "i1": 2}


def test_the_latest_consensus_counts_and_none_is_lost(ledger):
    first = Consensus("i1", None, None, False, "model", "set_apart", "r", {"votes": {}})
    second = Consensus("i1", "spam", 0.75, True, "person", "accept", "s", [1, "é"])
    ledger.votes.conclude(1, 1, [first])
    ledger.votes.conclude(2, 1, [second])
    assert ledger.votes.concluded() == {"i1": second}
    assert ledger.votes.history("i1") == [first, second]


def test_a_step_sees_the_consensus_as_it_was_when_it_began(ledger):
    first, second = (Consensus(i, "spam", 0.9, False, "model", "accept", "", {}) for i in "ab")
    changed = replace(first, label="ham", outcome="set_apart")
    ledger.votes.conclude(3, 1, [first])
    ledger.votes.conclude(5, 1, [changed, second])
    assert ledger.votes.concluded(before=3) == {}
    assert ledger.votes.concluded(before=4) == ledger.votes.concluded(before=5) == {"a": first}
    assert ledger.votes.concluded(before=6) == ledger.votes.concluded() == {
        "a": changed, "b": second,
    }  # fmt: skip


def test_spending_adds_up_to_the_balance(ledger):
    ledger.record(call("1"), ANSWERED, [])
    ledger.record(call("2", agent="critic", annotator=None), replace(ANSWERED, cost=30), [])
    lost = ledger.reserve(call("3"), 20, try_no=0, bound_tokens=5)
    ledger.settle(lost, Settlement("unknown"))
    table = ledger.spending()
    assert [row["agent"] for row in table] == ["critic", "annotator"]
    assert sum(row["cost"] for row in table) == ledger.balance().spent == 40
    assert [row["failed"] for row in table] == [0, 1]


# -- the digest --


def decide_all(path: Path, decisions: list[Decision]) -> str:
    with Ledger(path) as ledger:
        for decision in decisions:
            ledger.log.decide(decision)
        return ledger.log.digest()


def test_equal_decisions_have_equal_digests_at_any_time(tmp_path, monkeypatch):
    decisions = [Decision(1, 1, "s", "batch", {"b": 1, "a": 2}, {}), Decision(2, 1, "c", "r", 1, 2)]
    swapped = [replace(decisions[0], decision={"a": 2, "b": 1}), decisions[1]]
    one = decide_all(tmp_path / "1", decisions)
    for module in ("store", "run_log", "ledger"):
        monkeypatch.setattr(f"labelwright.tools.ledger.{module}.now", lambda: "1999-01-01")
    assert decide_all(tmp_path / "2", swapped) == one


@pytest.mark.parametrize(
    ("field", "value"),
    [("step", 3), ("round", 9), ("agent", "x"), ("kind", "x"), ("decision", 0), ("evidence", 0)],
)
def test_every_part_of_a_decision_is_in_the_digest(tmp_path, field, value):
    decision = Decision(1, 1, "s", "batch", {"a": 1}, {"e": 1})
    one = decide_all(tmp_path / "1", [decision])
    assert decide_all(tmp_path / "2", [replace(decision, **{field: value})]) != one


# -- threads --


@pytest.mark.parametrize(
    ("caps", "fit"),
    [(Caps(money=107), 10), (Caps(tokens=59), 11), (Caps(requests=13), 6)],
    ids=["money", "tokens", "requests"],
)
def test_threads_together_never_pass_a_cap(tmp_path, caps, fit):
    with Ledger(tmp_path / "l.sqlite", caps) as ledger:

        def one(number: int) -> bool:
            try:
                call_id = ledger.reserve(
                    call(str(number), requests=2), 10, try_no=0, bound_tokens=5
                )
            except BudgetExceeded:
                return False
            ledger.settle(call_id, Settlement("answered", 10, 5))
            return True

        with ThreadPoolExecutor(16) as pool:
            done = sum(pool.map(one, range(60)))
        assert done == fit
        assert ledger.balance() == sums(ledger)
        assert ledger.balance().requests == 2 * fit


def test_a_commit_that_fails_leaves_no_transaction_open(ledger):
    store = ledger._store
    with store.transaction() as db:
        db.execute("CREATE TEMP TABLE parent(id INTEGER PRIMARY KEY)")
        db.execute(
            "CREATE TEMP TABLE child(id REFERENCES parent(id) DEFERRABLE INITIALLY DEFERRED)"
        )
    store._db.execute("PRAGMA foreign_keys=ON")
    with pytest.raises(sqlite3.IntegrityError), store.transaction() as db:
        db.execute("INSERT INTO child VALUES(1)")  # refused at COMMIT only
    ledger.record(call(), ANSWERED, [VOTE])
    with sqlite3.connect(store._db.execute("PRAGMA database_list").fetchone()[2]) as other:
        assert other.execute("SELECT count(*) FROM votes").fetchone() == (1,)
    other.close()
