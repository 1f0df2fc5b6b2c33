"""The report: complete where there is everything, calm where there is nothing, inert always."""

import re
from dataclasses import asdict
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labelwright.tools import report
from labelwright.tools.audit import accuracy_interval
from labelwright.tools.gates import Gate, monoculture
from labelwright.tools.hindsight import sensitivity
from labelwright.tools.money import NANO
from labelwright.tools.outlook import explain, next_dollars
from labelwright.tools.plateau import StoppingConfig, check
from labelwright.tools.report import accuracy, percent, usd, write_report
from labelwright.tools.report.figures import HEIGHT, WIDTH, churn, learning_curve, stop_evidence

LABELS = ("card_lost", "transfer_failed", "pin_forgotten", "refund", "exchange_rate", "top_up")
GATE = Gate("label_noise", False, "4 of 9 audited labels wrong", "relabel", waived=True)
VOID = {"br", "link", "meta"}


def made_summary(labels=LABELS, rounds=9, window_cost=0.06, sweep=True, audit=True):
    """A run as the rule sees it: predictions that settle, money that does not."""
    rng = np.random.default_rng(7)
    config = StoppingConfig(stop_set_size=400)
    value = 30 * NANO
    curve: list[dict[str, Any]] = []
    history, money, made, checks, streak = [], [], [], [], 0
    for number in range(1, rounds + 1):
        last = history[-1] if history else rng.integers(len(labels), size=400)
        moved = rng.random(400) < 0.5 / number**2.2
        history.append(np.where(moved, rng.integers(len(labels), size=400), last))
        money.append(round(number * window_cost * NANO))
        checked = check(history, money, value, config, streak)
        streak = checked.streak
        made.append(checked)
        checks.append(
            {
                "value": value,
                "check": checked.to_dict(),
                "gates": [monoculture(["margin"] * number, streak).to_dict(), GATE.to_dict()],
                "explanation": explain(checked),
                "next_dollar": next_dollars(checked, 1.0).text,
                "stop_round_if": sensitivity(made, config),
            }
        )
        share = float(moved.mean()) if number > 1 else None
        counts = rng.multinomial(40 * number, [1 / len(labels)] * len(labels))
        row = (number, money[-1], counts, labels, audit, checked.to_dict(), share)
        curve.append(round_row(*row))
    if sweep:
        counts = rng.multinomial(900, [1 / len(labels)] * len(labels))
        curve.append(round_row(rounds + 1, 3_100_000_000, counts, labels, audit, None, 0.004))
    audited = asdict(accuracy_interval(52, 56)) if audit else asdict(accuracy_interval(0, 0))
    why_not = None if audit else "uncalibrated: no annotator is trusted, so no label was audited"
    return {
        "name": "bank-questions",
        "task": "intent of bank customers",
        "status": "finished",
        "stop": {"reason": "cost_plateau", "detail": "the window cost more than its expected gain"},
        "rounds": rounds + sweep,
        "best_round": curve[-1]["round"] if curve else None,
        "seconds": 184.2,
        "money": {"spent_usd": curve[-1]["spent_usd"] if curve else 0.0, "uncertain_usd": 0.0021}
        | {"cap_usd": 10.0, "value_usd": 30.0, "value_from": "300 items x $0.10 for an error"},
        "tokens": 812_345,
        "requests": 3120,
        "pool": {"rows": 5120, "items": 5000, "synthetic": 40}
        | {"duplicates": 120, "near_duplicates": 41, "rejected": 3},
        "labels": {"texts": 5000, "accepted": 4871, "set_apart": 129, "unlabelled": 0}
        | {
            "completion": 0.9742,
            "by_source": {"model": 1480, "panel": 311, "person": 62, "student": 3018},
            "by_label": {name: 2400 // (k + 1) for k, name in enumerate(labels)},
            "calibrated": 4700,
            "set_apart_why": {"too improbable": 121, "nobody could be asked": 8},
        },
        "quality": {
            "labels": {**audited, "why_not": why_not},
            "student": {**audited, "why_not": why_not},
            "gold": {
                "items": 5000,
                "completion": 0.9742,
                "accuracy": asdict(accuracy_interval(4520, 4871)),
                "macro_f1": 0.902,
                "student_accuracy": asdict(accuracy_interval(4490, 5000)),
                "student_macro_f1": 0.881,
            },
        },
        "annotators": [
            annotator("small-model", "chat", 1, 2300, 0.874, 56, 0.41),
            annotator("large-model", "chat", 2, 640, 0.951, 50, 2.05),
            annotator("ada", "human", 9, 56, 1.0, 0, 0.56, trusted=True),
        ],
        "agents": [
            agent("selector", "choose_mix", 0.052),
            agent("critic", "review", 0.031),
            agent("generator", "write", 0.0),
        ],
        "curve": curve,
        "stop_checks": checks,
        "generator": True,
        "embedder": "minilm@0123456789abcdef",
        "seed": 11,
        "decisions_sha256": "ab" * 32,
        "files": {"labels": "/somewhere/else/labels.jsonl", "card": "/somewhere/else/card.md"},
    }


def round_row(number, spent, counts, labels, audit, checked, moved) -> dict[str, Any]:
    n = 20 + 4 * number
    seen = (
        accuracy_interval(round(n * (0.93 - 0.3 / number)), n) if audit else accuracy_interval(0, 0)
    )
    return {
        "round": number,
        "labels": int(counts.sum()),
        "agreement": 0.91 - 0.35 / number,
        "macro_f1": 0.88 - 0.4 / number,
        "classes": dict(zip(labels, counts.tolist(), strict=True)),
        "audited": n if audit else 0,
        "audit_student": seen.estimate,
        "audit_student_low": seen.low,
        "audit_student_high": seen.high,
        "spent": spent,
        "spent_usd": spent / NANO,
        "moved": moved,
        "check": checked,
    }


def annotator(name, kind, tier, votes, reliability, audited, spent, **more) -> dict[str, Any]:
    figures = {"votes": votes, "invalid": 2, "reliability": reliability, "audited": audited}
    rest = {"weight": 1.5, "spent_usd": spent, "trusted": False, "reference": False}
    return {"annotator": name, "kind": kind, "tier": tier, **figures, **rest, **more}


def agent(name, purpose, cost) -> dict[str, Any]:
    counts = {"tokens_in": 5000, "tokens_out": 700, "requests": 9, "failed": 0}
    return {"agent": name, "annotator": None, "purpose": purpose, "cost": cost, **counts}


class Page(HTMLParser):
    """Tags with attributes, the visible text, and a check that what is opened is closed."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.open: list[str] = []
        self.feed(html)
        self.close()
        assert not self.open
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if not self.open or self.open[-1] not in {"style", "title"}:
            self.words.append(data)

    def count(self, tag) -> int:
        return [name for name, _ in self.tags].count(tag)


@pytest.fixture
def page(tmp_path):
    def render(summary) -> Page:
        path = tmp_path / "report.html"
        write_report(path, summary)
        return Page(path.read_text(encoding="utf-8"))

    return render


def coordinates(svg) -> list[float]:
    """Numbers of every position in the drawing."""
    drawn = re.findall(r' (?:d|x|y|cx|cy|width|height)="([^"]*)"', svg)
    return [float(n) for part in drawn for n in re.findall(r"-?[\d.]+(?:e-?\d+)?|nan|inf", part)]


def test_a_whole_run_is_told(page):
    summary = made_summary()
    summary["labels"]["by_label"]["top_up"] = 0
    shown = page(summary)
    last = summary["stop_checks"][-1]
    for text in (
        "4,871 of 5,000 texts have a label. That cost $3.10 of a cap of $10.00.",
        "It stopped after 9 rounds: the next dollar was no longer worth it.",
        "95% interval 82.7% to 98.0%; n = 56, drawn at random",
        "Macro-F1 0.84 and agreement 87.5% with the run's own labels",
        " ".join(last["explanation"].split()),
        last["next_dollar"],
        f"a third of A $10.00 after round {last['stop_round_if']['A/3']}",
        f"three times A $90.00 after round {last['stop_round_if']['3A']}",
        "monoculture query strategies since the streak began: margin",
        "Asks for other strategy.",
        "too improbable 121",
        "card_lost 2,400 43.8%",
        "top_up none 0.0%",
        "small-model chat 1 2,300 2 87.4% 56 1.50 $0.41",
        "selector choose mix $0.052",
        "the run never saw these 5,000 gold labels",
        "minilm@0123456789abcdef",
        "card.md, labels.jsonl",
    ):
        assert text in shown.text
    assert shown.count("svg") == 3
    assert "/somewhere/else" not in shown.text


def test_nothing_is_fetched(page, tmp_path):
    summary = made_summary(labels=("https://example.org/a.png", "url(//example.org/b)", "plain"))
    shown = page(summary)
    assert not {"script", "img", "iframe", "object", "embed", "video", "audio", "use", "image"} & {
        tag for tag, _ in shown.tags
    }
    attributes = [(name, value) for _, attrs in shown.tags for name, value in attrs.items()]
    assert [value for name, value in attributes if name in {"href", "src", "srcset"}] == ["data:,"]
    html = (tmp_path / "report.html").read_text()
    style = html[html.index("<style>") : html.index("</style>")]
    assert not re.search(r"@import|url\(|@font-face|expression", style)
    assert not any("//" in (value or "") for _, value in attributes)
    policy = [attrs["content"] for _, attrs in shown.tags if "http-equiv" in attrs]
    assert policy == ["default-src 'none'; style-src 'unsafe-inline'; img-src data:"]


HOSTILE = (
    "</style><script>alert(1)</script>\"'><img src=x onerror=alert(2)> {{ 41 * 1000003 }} &lt;"
)


def test_texts_of_the_run_are_inert(page):
    def spoilt(value):
        """Every text of the summary, keys of labels included, replaced by markup."""
        if isinstance(value, dict):
            return {key: spoilt(entry) for key, entry in value.items()}
        if isinstance(value, list):
            return [spoilt(entry) for entry in value]
        return HOSTILE if isinstance(value, str) else value

    summary = spoilt(made_summary(labels=(HOSTILE, "b")))
    shown = page(summary)
    assert not {"script", "img"} & {tag for tag, _ in shown.tags}
    assert not any(name.startswith("on") for _, attrs in shown.tags for name in attrs)
    assert shown.count("style") == 1
    # Label, annotator, gate, reason, explanation and more, each exactly as it was written.
    assert shown.text.count(" ".join(HOSTILE.split())) > 20
    assert "41000123" not in shown.text


def test_without_audit_nothing_is_called_accurate(page):
    summary = made_summary(audit=False)
    summary["quality"]["gold"] = None
    shown = page(summary)
    assert shown.text.count("uncalibrated no annotator is trusted, so no label was audited") == 2
    assert "95% interval 0" not in shown.text
    assert "No text was audited, so there is no unbiased accuracy to draw." in shown.text
    assert "Against gold labels" not in shown.text


def test_free_rounds_are_drawn_by_labels_without_evidence_of_money(page):
    summary = made_summary(rounds=6, window_cost=0.0, sweep=False)
    curve = summary["curve"]
    assert ">labels</text>" in learning_curve(curve, 6)
    assert "No round cost anything, so there are no grey marks" in page(summary).text
    # Without any gain either there is no chart.
    for row in curve:
        row["check"]["next_gain"] = row["check"]["certificate_gain"] = 0
    assert stop_evidence(curve, 6) is None
    assert "nothing was spent or gained that it could show" in page(summary).text


def test_rounds_that_an_earlier_version_has_checked_are_no_evidence_of_a_next_batch(page):
    summary = made_summary(rounds=6)
    for row in summary["curve"][:-1]:
        if row.get("check"):
            del row["check"]["next_gain"]
    assert page(summary).text


@pytest.mark.parametrize("rounds", [0, 1, 2, 50])
@pytest.mark.parametrize("sweep", [False, True])
def test_any_number_of_rounds(page, rounds, sweep):
    shown = page(made_summary(rounds=rounds, sweep=sweep))
    assert ("No round was finished." in shown.text) == (rounds == 0 and not sweep)
    assert ("No check was made" in shown.text) == (rounds == 0)
    assert ("after sweep" in shown.text) == (sweep and rounds > 0)


def test_many_classes_are_listed_in_a_table_that_scrolls(page):
    labels = tuple(f"class_{k}" for k in range(77))
    shown = page(made_summary(labels=labels))
    regions = {a["aria-label"]: a["class"] for _, a in shown.tags if a.get("role") == "region"}
    assert "long" in regions["Classes"]
    assert "long" not in regions["Gates"]
    assert all(name in shown.text for name in labels)


def test_a_run_that_goes_on_says_so_and_marks_no_stop(page):
    waiting = page(made_summary() | {"status": "waiting_for_people", "stop": None})
    assert "It is waiting for answers of people, after 9 rounds;" in waiting.text
    shown = page(made_summary() | {"status": "stopped", "stop": None})
    assert "It is not finished: 9 rounds so far; it can be resumed." in shown.text
    assert "every figure is of this moment" in shown.text
    assert "stop, round" not in shown.text


def test_every_part_may_be_missing(page):
    summary = made_summary()
    page({})
    for key in summary:
        page({k: v for k, v in summary.items() if k != key})
        page(summary | {key: None})


def test_every_figure_may_be_none(page):
    """Whatever is None inside a part, the page is whole and no None is printed."""
    for part in ("money", "pool", "quality", "labels"):
        summary = made_summary()
        for key, kept in summary[part].items():
            summary[part][key] = None
            assert "None" not in page(summary).text
            summary[part][key] = kept
    summary = made_summary()
    for row in summary["annotators"]:
        row |= {"reliability": None, "weight": None, "spent_usd": None}
    for row in summary["curve"]:
        row |= {"macro_f1": None, "audit_student": None, "moved": None, "check": None}
    summary["stop_checks"] = [{"value": None, "value_from": ""}]
    assert "None" not in page(summary).text


def test_the_same_run_gives_the_same_bytes(tmp_path):
    first, second = tmp_path / "a.html", tmp_path / "b.html"
    write_report(first, made_summary())
    write_report(second, made_summary())
    assert first.read_bytes() == second.read_bytes()


def test_the_stop_is_marked_in_every_chart_and_the_sweep_stands_apart():
    curve = made_summary()["curve"]
    for chart in (learning_curve, stop_evidence, churn):
        assert chart([], None) is None
        assert "stop, round 9" in chart(curve, 9)
        assert "stop, round" not in chart(curve, None)
    assert "after sweep" in learning_curve(curve, 9)
    # Agreement and audit of ten rounds; the first has no gain, for churn needs two.
    assert learning_curve(curve, 9).count("<circle") == 20
    assert stop_evidence(curve, 9).count("<circle") == 16


share = st.floats(0, 1) | st.none()
money = st.integers(0, 10**15)


@settings(max_examples=60, deadline=None)
@given(st.data(), st.integers(1, 12))
def test_everything_drawn_is_inside_the_chart(data, rounds):
    curve = []
    for number in range(1, rounds + 1):
        low, middle, high = sorted(data.draw(st.tuples(*[st.floats(0, 1)] * 3)))
        known = data.draw(st.booleans())
        checked = {"churn": middle, "churn_low": low, "churn_high": high}
        checked |= {"next_gain": data.draw(money), "certificate_gain": data.draw(money)}
        checked = {k: v if known else None for k, v in checked.items()}
        checked["money_next"] = data.draw(money)
        curve.append(
            {
                "round": number,
                "labels": data.draw(st.integers(0, 10**6)),
                "agreement": data.draw(st.floats(0, 1)),
                "audit_student": middle if known else None,
                "audit_student_low": low,
                "audit_student_high": high,
                "spent_usd": data.draw(money) / NANO,
                "moved": data.draw(share),
                "check": data.draw(st.sampled_from([checked, None])),
            }
        )
    stop_round = data.draw(st.none() | st.integers(1, rounds))
    for chart in (learning_curve, stop_evidence, churn):
        svg = chart(curve, stop_round)
        if svg is not None:
            Page(svg)
            assert all(-1 <= at <= max(WIDTH, HEIGHT) + 1 for at in coordinates(svg))


def test_figures_for_people():
    assert accuracy({"estimate": 0.5, "low": 0.25, "high": 0.75, "n": 1200}) == (
        "50.0% (95% interval 25.0% to 75.0%, n = 1,200)"
    )
    assert accuracy({"estimate": None, "low": 0.0, "high": 1.0, "n": 0}) == "uncalibrated"
    assert accuracy(None) == "uncalibrated"
    assert usd(0.0015) == "$0.0015"
    assert {usd(None), percent(None), report.count(None), report.number(None)} == {report.NOTHING}
