"""A run's summary, made up as the rule would have seen it, and a page as it is read."""

from dataclasses import asdict
from html.parser import HTMLParser
from typing import Any

import numpy as np

from labelwright.tools.audit import accuracy_interval
from labelwright.tools.gates import Gate, monoculture
from labelwright.tools.hindsight import sensitivity
from labelwright.tools.money import NANO
from labelwright.tools.outlook import explain, next_dollars
from labelwright.tools.plateau import StoppingConfig, check

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
        last = round_row(rounds + 1, 3_100_000_000, counts, labels, audit, None, 0.004)
        curve.append({**last, "in_round": False})
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
        "consistency": [steady("small-model", rounds), {"annotator": "ada", "alarms": []}],
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
    figures["right"] = {"estimate": reliability + 0.01, "low": 0.5, "high": 0.95, "n": audited}
    rest = {"weight": 1.5, "spent_usd": spent, "trusted": False, "reference": False}
    return {"annotator": name, "kind": kind, "tier": tier, **figures, **rest, **more}


def steady(name, round_=9, **more) -> dict[str, Any]:
    """An annotator's part of the record of consistency: 50 turned, 40 reworded, 25 repeated."""
    return {
        "annotator": name,
        "check_order": asdict(accuracy_interval(2, 50)) | {"confusions": []},
        "check_template": asdict(accuracy_interval(4, 40)) | {"confusions": []},
        "check_retest": asdict(accuracy_interval(25, 25)),
        "position": {"flips": 2, "shares": [1.0, 0.0], "p_value": None},
        "alarms": [],
        "passing": [],
        "round": round_,
        "retested": 3,
        "unsteady": False,
        **more,
    }


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
