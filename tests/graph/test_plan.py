"""The quote: a range below the cap, with every position priced, and nothing sent."""

import hashlib
import math
import socket
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from doubles.quotes import AGENT, ANN, CHEAP, NEAR, STRONG, quoted, texts

from labelwright.graph.plan import plan
from labelwright.tools.embedding import wordpiece_counts
from labelwright.tools.errors import ConfigError, DataError
from labelwright.tools.money import NANO, Price


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """A quote sends nothing: a connection, or the look-up of a name, is a failure."""

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("a quote went to the network")

    for name in ("connect", "connect_ex", "sendto"):
        monkeypatch.setattr(socket.socket, name, refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)


@pytest.fixture
def quote(tmp_path: Path):
    """Quotes a configuration over a file of so many texts."""
    return partial(quoted, tmp_path)


def check(quoted) -> None:
    """What holds for every quote."""
    assert 0 <= quoted.low <= quoted.high <= quoted.cap
    assert quoted.high == min(quoted.uncut, quoted.cap)
    for line in quoted.lines:
        assert 0 <= line.money[0] <= line.money[1]
        assert 0 <= line.requests[0] <= line.requests[1]
    assert quoted.uncut == sum(line.money[1] for line in quoted.lines)
    assert 1 <= quoted.rounds[0] <= quoted.rounds[1]


PARTS = {
    "two": [CHEAP, STRONG],
    "batched": [{**CHEAP, "items_per_request": 5}, STRONG],
    "near and person": [NEAR, ANN],
    "all": [CHEAP, STRONG, NEAR, ANN],
}


@pytest.mark.parametrize("who", PARTS)
@pytest.mark.parametrize("n", [3, 700])
@pytest.mark.parametrize(
    "more",
    [
        {},
        {"critic": {"attempts": 1, "audit_first": 500, "audit_share": 1}},
        {"budget": {"usd": 0.001}, "human": {"questions_per_round": 1}},
        {"selection": {"model": AGENT}, "generation": {"enabled": True, "model": AGENT}},
    ],
    ids=["plain", "audits", "tiny cap", "agents"],
)
def test_low_is_below_high_is_below_the_cap(quote, who, n, more):
    quoted = quote(*PARTS[who], n=n, **more)
    check(quoted)
    assert quoted.texts == n


def test_a_cap_cuts_the_quote_and_tells_what_it_would_have_been(quote):
    free = quote(CHEAP, STRONG)
    capped = quote(CHEAP, STRONG, budget={"usd": free.uncut / NANO / 2})
    check(capped)
    assert capped.uncut == free.uncut
    assert capped.high == capped.cap < capped.uncut
    nothing = quote(CHEAP, budget={"usd": 0})
    assert nothing.low == nothing.high == 0


def test_output_tokens_are_priced(quote):
    line = {
        out: quote({**CHEAP, "price": {"in": 0, "out": out}}).lines[0] for out in (0.0, 1.0, 2.0)
    }
    assert line[0.0].money == (0, 0)
    assert 0 < line[1.0].money[0] < line[1.0].money[1]
    assert line[2.0].money[1] == 2 * line[1.0].money[1]
    assert line[1.0].tokens_out > 0
    with_reasons = quote(CHEAP).lines[0].tokens_out
    assert quote({**CHEAP, "reasons": False}).lines[0].tokens_out < with_reasons


def test_input_tokens_are_those_of_text_and_prompt(quote):
    short = quote(CHEAP, rows=[f"x {i}" for i in range(300)]).lines[0]
    long = quote(CHEAP, rows=[f"{'word ' * 100}{i}" for i in range(300)]).lines[0]
    assert short.requests == long.requests
    votes = sum(long.requests) // 2
    assert long.tokens_in - short.tokens_in == pytest.approx(votes * 99, rel=0.02)
    quoted = quote(CHEAP)
    assert quoted.prompt is not None
    prompt = sum(wordpiece_counts([message.content for message in quoted.prompt]))
    low, high = quoted.lines[0].requests
    assert quoted.lines[0].tokens_in == pytest.approx((low + high) // 2 * prompt, rel=0.02)


def test_several_items_a_request_are_fewer_requests_and_cheaper(quote):
    one, five = quote(CHEAP).lines[0], quote({**CHEAP, "items_per_request": 5}).lines[0]
    assert five.requests[1] == -(-one.requests[1] // 5)
    assert five.money[1] < one.money[1]


@pytest.mark.parametrize("price", [None, "unknown", {"in": 1}, ...])
def test_an_unknown_price_is_refused(quote, price):
    annotator = {k: v for k, v in {**CHEAP, "price": price}.items() if v is not ...}
    with pytest.raises(ConfigError, match=r"annotators\.0\.price"):
        quote(annotator)


def test_people_are_asked_no_more_than_a_round_allows(quote):
    plain = {"human": {"questions_per_round": 3}, "stopping": {"audit_changes": False}}
    quoted = quote(CHEAP, ANN, **plain)
    check(quoted)
    (line,) = [line for line in quoted.lines if line.what.startswith("ann")]
    rounds = quoted.rounds
    assert line.requests == (3 * rounds[0], 3 * rounds[1])
    price = Price(per_label=0.1)
    assert line.money == tuple(price.cost(labels=3 * r) for r in rounds)


def test_nobody_votes_on_an_item_more_often_than_he_may(quote):
    quoted = quote(
        CHEAP,
        NEAR,
        ANN,
        n=20,
        critic={
            "attempts": 1,
            "audit_first": 500,
            "audit_share": 1,
            "checks": {"order": 0, "template": 0, "retest": 0},
        },
    )
    check(quoted)
    assert all(line.requests[1] <= 20 for line in quoted.lines)


def test_the_high_end_has_the_checks_and_the_audits_of_changes(quote):
    def most(annotator, **sections):
        lines = quote(CHEAP, ANN, n=600, **sections).lines
        return next(line.requests[1] for line in lines if line.what.startswith(annotator))

    never = {"order": 0, "template": 0, "retest": 0}
    without = most("cheap", critic={"checks": never})
    often = most("cheap", critic={"checks": {**never, "retest": 0.1}})
    assert often == without + math.ceil(without * 0.1)
    # An audit of changes asks twenty, thirty or forty, and a person no more than in a round.
    for room, more in ((3, 0), (25, 25), (60, 40)):
        people = {"human": {"questions_per_round": room}}
        still = most("ann", **people, stopping={"audit_changes": False})
        assert most("ann", **people) == min(still + more, 600)


@pytest.mark.parametrize("n", [20, 600])
def test_the_high_end_asks_chat_models_again(quote, n):
    once, thrice = (
        quote(CHEAP, NEAR, n=n, critic={"attempts": attempts}).lines for attempts in (1, 3)
    )
    assert thrice[0].requests == (once[0].requests[0], 3 * once[0].requests[1])
    assert thrice[1].requests == once[1].requests


def test_texts_that_are_written_are_labelled_blind(quote):
    def lines(**generation):
        given = {"enabled": True, "model": {**AGENT, "model": "large"}, **generation}
        quoted = quote(CHEAP, {**STRONG, "model": "strong"}, ANN, generation=given)
        check(quoted)
        return {line.what.split(":")[0]: line.requests for line in quoted.lines}, quoted.rounds[1]

    without, rounds = lines(enabled=False)
    written, _ = lines(per_class=7)
    assert written["strong"][1] == without["strong"][1] + 7 * 2 * rounds
    assert written["strong"][0] == without["strong"][0]
    assert all(written[name] == without[name] for name in ("cheap", "ann"))
    few, _ = lines(per_class=7, max_share=0.005)  # of 600 texts, three more
    assert few["strong"][1] == without["strong"][1] + 3 * rounds
    other, _ = lines(per_class=7, model={**AGENT, "model": "strong"})
    assert other["cheap"][1] == without["cheap"][1] + 7 * 2 * rounds
    assert other["strong"] == without["strong"]


def test_agents_are_lines_of_their_own_bounded_by_their_allowance(quote):
    plain = quote(CHEAP)
    quoted = quote(
        CHEAP,
        selection={"model": AGENT},
        critic={"model": {**AGENT, "usd_per_decision": 0.001}},
        generation={"enabled": False, "model": AGENT},
    )
    lines = {line.what.split(":")[0]: line for line in quoted.lines}
    assert set(lines) == {"cheap", "selector", "critic"}
    assert lines["selector"].money[0] > 0
    # The review and the explanation of the stop rule have an allowance each.
    assert lines["critic"].money[1] == 2 * NANO // 1000 * quoted.rounds[1]
    assert lines["critic"].requests[1] == 2 * lines["selector"].requests[1]
    assert quoted.uncut == plain.uncut + lines["selector"].money[1] + lines["critic"].money[1]


def test_remote_embeddings_are_a_line(quote):
    embedder = {"kind": "openai", "model": "e", "base_url": "http://localhost:1/v1"}
    paid = quote(CHEAP, embedder={**embedder, "price_usd_per_mtok": 0.1}).lines[0]
    tokens = sum(wordpiece_counts(texts(600)))
    assert paid.what.startswith("embedder: reads every text")
    assert paid.tokens_in == pytest.approx(tokens, rel=0.01)
    assert paid.money[0] <= tokens * 100 <= paid.money[1]
    free = quote(CHEAP, embedder={**embedder, "price_usd_per_mtok": "free"}).lines[0]
    assert free.money == (0, 0)


def test_the_alternatives_are_what_else_the_money_could_buy(quote):
    quoted = quote(CHEAP, STRONG, ANN)
    everything, inference, yourself = quoted.alternatives
    assert everything.name == "cheap labels everything"
    assert inference.name == "strong at inference time"
    assert yourself.name == "you label everything yourself"
    cheap = quote(CHEAP)
    assert everything.money == pytest.approx(cheap.alternatives[0].money)
    assert inference.note.endswith("for each 1,000 items")
    stopping = {"items": 5_000, "error_cost_usd": 0.5}
    priced = quote(CHEAP, STRONG, stopping=stopping)
    assert priced.alternatives[1].money == pytest.approx(5 * inference.money, rel=0.001)
    assert priced.value.nano == 5_000 * NANO // 2


def test_a_single_annotator_is_both_alternatives(quote):
    assert [a.name for a in quote(NEAR).alternatives] == [
        "near labels everything", "near at inference time", "you label everything yourself",
    ]  # fmt: skip
    assert [a.money for a in quote(NEAR).alternatives][:2] == [0, 0]
    assert quote(NEAR).prompt is None


def test_copies_count_once_and_bad_rows_are_counted(quote):
    quoted = quote(CHEAP, rows=[*texts(30), *texts(30), "   "])
    assert (quoted.texts, quoted.rejected) == (30, 1)


def test_recorded_votes_are_priced_as_if_asked_now(quote, tmp_path):
    first = hashlib.sha256(texts(1)[0].encode()).hexdigest()[:12]
    (tmp_path / "v.csv").write_text(f"item_id,r\n{first},a\n")
    by_label = {"kind": "recorded", "name": "r", "path": "v.csv", "price": {"per_label": 0.01}}
    line = quote(by_label).lines[0]
    assert line.money == tuple(n * NANO // 100 for n in line.requests)
    by_token = {**by_label, "price": {"in": 1, "out": 1}}
    assert quote(by_token).lines[0].tokens_in > 0


def test_what_is_wrong_is_told(tmp_path, quote):
    with pytest.raises(ConfigError, match="no such file"):
        plan(tmp_path / "nowhere.yaml")
    with pytest.raises(DataError):
        quote(CHEAP, rows=["  "])


def test_a_path_will_do(tmp_path):
    (tmp_path / "pool.csv").write_text("text\nfirst\nsecond\n")
    path = tmp_path / "run.yaml"
    path.write_text(
        "task: {name: t, labels: [{name: a}, {name: b}]}\n"
        "data: {path: pool.csv}\n"
        "annotators: [{kind: embedded, name: near}]\n"
        "budget: {usd: 1}\n"
    )
    assert plan(path).texts == plan(str(path)).texts == 2
    assert sorted(p.name for p in tmp_path.iterdir()) == ["pool.csv", "run.yaml"]
