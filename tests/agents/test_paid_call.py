"""Reserve, send, settle: what is paid, what is kept, what is repeated."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labelwright.agents.paid_call import (
    Bound,
    CallRefused,
    CallStopped,
    RetryPolicy,
    bound,
    pay,
    request_key,
)
from labelwright.agents.wire import Answer, WireFailure
from labelwright.tools.errors import BudgetExceeded, EndpointError
from labelwright.tools.ledger import Balance, Call, Caps, Ledger, Settlement, Vote
from labelwright.tools.money import Price

PRICE = Price(input=1, output=2)  # 1,000 and 2,000 nanodollars a token
CALL = Call("k", "annotator", "a", "m", "label", 1, ("i1",), "h")
BOUND = Bound(100, 50, 200_000)
GOOD = Answer({"content": "x"}, 10, 5)
POLICY = RetryPolicy(retries=2, first_s=1, most_s=8)


def served_by(*results):
    """A `send` that gives results in order and counts how often it was called."""
    rest = list(results)

    def send():
        send.times += 1
        result = rest.pop(0)
        if isinstance(result, BaseException):
            raise result
        return result

    send.times = 0
    return send


@pytest.fixture
def ledger(tmp_path):
    with Ledger(tmp_path / "ledger.sqlite", Caps(money=1_000_000)) as ledger:
        yield ledger


def paid(ledger, send, **more):
    slept: list[float] = []
    more = {"call": CALL, "bound": BOUND, "policy": POLICY, "sleep": slept.append, **more}
    call = more.pop("call")
    try:
        return pay(ledger, call, price=PRICE, send=send, **more), slept
    except Exception as error:
        error.slept = slept
        raise


def test_the_true_cost_is_settled_with_the_votes(ledger):
    vote = Vote("i1", "a", "spam", None, "h", 0, "label", 1)
    settlement, _ = paid(ledger, served_by(GOOD), votes=lambda _: [vote])
    assert settlement.outcome == "answered"
    assert settlement.cost == 10 * 1_000 + 5 * 2_000
    assert ledger.balance().spent == settlement.cost
    assert ledger.balance().committed == settlement.cost
    assert ledger.votes.all() == [vote]


def test_an_answered_request_is_never_sent_again(ledger):
    first, _ = paid(ledger, served_by(GOOD))
    again = served_by()
    assert paid(ledger, again)[0].response == first.response
    assert again.times == 0
    assert ledger.balance().requests == 1


def test_a_refused_try_costs_nothing_and_is_repeated(ledger):
    send = served_by(WireFailure("busy", status=429), WireFailure("down", status=503), GOOD)
    settlement, slept = paid(ledger, send)
    assert settlement.cost == ledger.balance().committed == 20_000
    assert send.times == 3
    assert 0.5 <= sum(slept) <= 3  # 1 s and 2 s, each with a jitter of half


def test_a_try_without_an_answer_goes_on_counting(ledger):
    send = served_by(WireFailure("lost", maybe_served=True), GOOD)
    paid(ledger, send)
    assert ledger.balance().uncertain == BOUND.money
    assert ledger.balance().committed == BOUND.money + 20_000


def test_the_cap_holds_through_repetitions(tmp_path):
    with Ledger(tmp_path / "l.sqlite", Caps(money=BOUND.money + 1)) as ledger:
        send = served_by(WireFailure("lost", maybe_served=True), GOOD)
        with pytest.raises(BudgetExceeded):
            paid(ledger, send)
        assert send.times == 1


def test_over_the_cap_nothing_is_sent(tmp_path):
    with Ledger(tmp_path / "l.sqlite", Caps(money=BOUND.money - 1)) as ledger:
        send = served_by(GOOD)
        with pytest.raises(BudgetExceeded):
            paid(ledger, send)
        assert send.times == 0


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422])
def test_what_can_not_get_better_is_not_repeated(ledger, status):
    send = served_by(WireFailure("no", status=status))
    with pytest.raises(CallRefused) as caught:
        paid(ledger, send)
    assert caught.value.status == status
    assert send.times == 1
    assert ledger.balance().committed == 0


def test_no_credit_left_is_not_repeated(ledger):
    send = served_by(WireFailure("no", status=429, code="insufficient_quota"))
    with pytest.raises(CallRefused):
        paid(ledger, send)
    assert send.times == 1


def test_a_final_status_is_not_repeated(ledger):
    send = served_by(WireFailure("no", status=500))
    with pytest.raises(CallRefused):
        paid(ledger, send, policy=RetryPolicy(final=frozenset({500})))
    assert send.times == 1


def test_tries_run_out(ledger):
    send = served_by(*[WireFailure("down", status=500)] * 3)
    with pytest.raises(CallRefused, match=r"down \(3 tries\)"):
        paid(ledger, send)


def test_later_runs_go_on_counting_tries(ledger):
    for _ in range(2):
        with pytest.raises(CallRefused):
            paid(ledger, served_by(*[WireFailure("down", status=500)] * 3))
    assert ledger.tries("k") == 6


def test_retry_after_is_honoured_up_to_a_bound(ledger):
    waits = [7.0, 1e9]
    send = served_by(*[WireFailure("busy", status=429, retry_after=w) for w in waits], GOOD)
    _, slept = paid(ledger, send, policy=RetryPolicy(retries=2, most_retry_after_s=20))
    assert sum(slept) == pytest.approx(27)
    assert max(slept) <= 1.0  # in slices, so that a stop is heard


def test_stop_before_the_first_try(ledger):
    send = served_by(GOOD)
    with pytest.raises(CallStopped):
        paid(ledger, send, stop=lambda: True)
    assert send.times == 0
    assert ledger.balance().requests == 0


def test_stop_while_waiting(ledger):
    stopping = threading.Event()
    send = served_by(WireFailure("busy", status=429, retry_after=60.0), GOOD)
    slept: list[float] = []

    def sleep(seconds):
        slept.append(seconds)
        stopping.set()

    with pytest.raises(CallStopped):
        paid(ledger, send, sleep=sleep, stop=stopping.is_set)
    assert len(slept) == 1
    assert send.times == 1


def test_no_usage_is_counted_at_the_upper_bound(ledger):
    settlement, _ = paid(ledger, served_by(Answer({"content": "x"}, None, None)))
    assert settlement.cost == BOUND.money
    assert (settlement.tokens_in, settlement.tokens_out) == (100, 50)
    assert settlement.error is not None


def test_more_than_was_reserved_is_settled_and_stops_the_run(ledger):
    with pytest.raises(EndpointError, match="did not keep to max tokens"):
        paid(ledger, served_by(Answer({"content": "x" * 900}, 10, 300)))
    assert ledger.balance().spent == 610_000
    assert ledger.answered("k") is not None


def test_an_unexpected_error_leaves_no_open_reservation(ledger):
    with pytest.raises(KeyboardInterrupt):
        paid(ledger, served_by(KeyboardInterrupt()))
    assert ledger.balance().reserved == 0
    assert ledger.balance().uncertain == BOUND.money


def test_many_threads_settle_to_the_same_sum(tmp_path):
    ledger = Ledger(tmp_path / "shared.sqlite")

    def one(number):
        call = Call(request_key(number), "annotator", "a", "m", "label", 1)
        pay(ledger, call, bound=BOUND, price=PRICE, send=served_by(GOOD),
            policy=POLICY)  # fmt: skip

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(one, range(16)))
    assert ledger.balance() == Balance(spent=16 * 20_000, tokens=16 * 15, requests=16)
    ledger.close()


def test_waits_follow_from_the_request():
    policy = RetryPolicy(first_s=1, most_s=8)
    waits = [policy.wait("k", n, None) for n in range(6)]
    assert waits == [policy.wait("k", n, None) for n in range(6)]
    assert all(w <= 8 for w in waits)
    assert policy.wait("other", 0, None) != waits[0]


@given(st.lists(st.text(), max_size=4), st.integers(1, 500), st.text())
def test_the_bound_covers_every_byte(texts, limit, schema):
    price = Price(input=0.15, output=0.6)
    most = bound(price, texts, limit, schema=schema)
    everything = sum(len(t.encode("utf-8", "surrogatepass")) for t in [*texts, schema])
    assert most.tokens_in >= everything + 16 * len(texts)
    assert most.money == price.cost(most.tokens_in, limit)


def test_a_price_by_label_is_charged_by_label(ledger):
    call = Call("k2", "annotator", "a", "m", "label", 1, ("i1", "i2"))
    price = Price(per_label=0.0001)
    most = bound(price, ["text"], 10, labels=2)
    settlement = pay(ledger, call, bound=most, price=price, send=served_by(GOOD), policy=POLICY)
    assert settlement == Settlement(
        "answered",
        cost=200_000,
        tokens_in=10,
        tokens_out=5,
        seconds=settlement.seconds,
        response={"content": "x"},
    )
