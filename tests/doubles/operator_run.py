"""A run's folder as a chat finds it, written by hand: no model and no graph has worked on it."""

import json
import sqlite3
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from labelwright.tools.ledger import Call, Consensus, Decision, Ledger, Settlement, Vote
from labelwright.tools.outlook import explain, next_dollars
from labelwright.tools.plateau import StoppingConfig, check

LABELS = ["billing", "delivery", "fraud_report", "access, site"]
HOSTILE = "<b>m*9</b>[x](http://evil.example) $E=mc^2$"
"""An id, a text, a reason and a proposal's target that would like to be markup."""
ITEMS = {**{f"m{n}": f"where is parcel {n}" for n in range(8)}, HOSTILE: HOSTILE}


def write_run(folder: Path, *, state: str = "stopped", **sections: Any) -> Path:
    """Write it; ``state`` is the last word of its process."""
    folder.mkdir(parents=True)
    config = {
        "task": {
            "name": "tickets",
            "labels": [{"name": name, "description": ""} for name in LABELS],
            "guidelines": "Judge what is written.",
        },
        "data": {"path": str(folder / "data.jsonl"), "id": "id"},
        "annotators": [
            {"kind": "embedded", "name": "cheap", "tier": 1},
            {"kind": "human", "name": "ann", "tier": 2, "price": {"per_label": 0.1}},
        ],
        "budget": {"usd": 10.0},
        "stopping": {"items": 1000, "error_cost_usd": 0.1},
        **sections,
    }
    (folder / "run.yaml").write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")
    (folder / "events.jsonl").write_text(
        json.dumps({"at": "2026-01-01T00:00:00+00:00", "event": "process", "status": state}) + "\n"
    )
    (folder / "prompts").mkdir()
    _write_pool(folder / "pool")
    with Ledger(folder / "ledger.sqlite") as ledger:
        _write_ledger(ledger)
    fit = folder / "rounds" / "002"
    fit.mkdir(parents=True)
    proba = np.full((4, len(LABELS)), 0.1, np.float32)
    proba[:, 1] = 0.7
    np.savez(fit / "out_of_sample.npz", ids=np.asarray(["m0", "m1", "m2", "m3"]),
             labels=np.asarray([1, 1, 0, 1]), proba=proba)  # fmt: skip
    return folder


def _write_pool(folder: Path) -> None:
    folder.mkdir()
    with sqlite3.connect(folder / "items.sqlite") as db:
        db.execute("CREATE TABLE items(position INTEGER PRIMARY KEY, id, text, synthetic)")
        rows = [(place, item, text, 0) for place, (item, text) in enumerate(ITEMS.items())]
        db.executemany("INSERT INTO items VALUES(?,?,?,?)", rows)
    db.close()
    with sqlite3.connect(folder / "rows.sqlite") as db:
        db.execute("CREATE TABLE rows(id, duplicate_of)")
        db.executemany("INSERT INTO rows VALUES(?,?)", [("m4", None), ("twin", "m4")])
    db.close()


def _write_ledger(ledger: Ledger) -> None:
    for who, cost in (("cheap", 0), ("ann", 250_000_000)):
        votes = [
            Vote(item, who, _vote(who, item), None, "p", 0, "label", 1, cost, reason=HOSTILE)
            for item in ITEMS
        ]
        call = Call(f"k{who}", "annotator", who, who, "label", 1, tuple(ITEMS), "p", len(ITEMS))
        ledger.record(call, Settlement("answered", cost=cost * len(ITEMS)), votes)
    ledger.votes.conclude(
        2,
        1,
        [Consensus(item, "delivery", 0.9, True, "person", "accept", HOSTILE, {}) for item in ITEMS],
    )
    before = np.zeros(100, np.int32)
    after = before.copy()
    after[:9] = 1
    stopping = StoppingConfig(items=1000, error_cost_usd=0.1)
    checked = check([before, after], [10**9, 2 * 10**9], 100 * 10**9, stopping, labels=[40, 80])
    for number, predictions in ((1, before), (2, after)):
        metrics = {
            "labels": 40 * number, "agreement": 0.91, "macro_f1": 0.8, "audited": 30,
            "audit_student": 0.9, "audit_student_low": 0.73, "audit_student_high": 0.98,
            "audit_label_errors": 3, "classes": dict.fromkeys(LABELS, 10) | {"fraud_report": 0},
        }  # fmt: skip
        ledger.log.close_round(number, metrics, predictions)
    gate = {"name": "classes", "passed": False, "detail": HOSTILE, "action": "search"}
    for kind, agent, decision, evidence in (
        ("batch", "selector", {"batch": ["m0", "m1"], "audit": ["m2"], "recheck": []},
         {"mix": {"random": 1.0}, "reason": HOSTILE, "by": "rule"}),
        ("rulings", "critic", {"counts": {"accept": 8}, "sent_on": {}}, {"by": "rule"}),
        ("trained", "student", {"labels": 80}, metrics),
        ("proposals", "rule", {"proposals": PROPOSALS}, {"by": "rule", "reason": "r"}),
        ("stop_check", "critic", {"order": None, "stop": None},
         {"check": checked.to_dict(), "explanation": explain(checked), "gates": [gate],
          "value": 100 * 10**9, "value_from": "1,000 items x $0.10 for a wrong label",
          "next_dollar": next_dollars(checked, 1.0).text}),
    ):  # fmt: skip
        ledger.log.decide(Decision(5, 2, agent, kind, decision, evidence))


def _vote(who: str, item: str) -> str:
    return "billing" if who == "cheap" and item in {"m4", "m5", HOSTILE} else "delivery"


def _proposal(kind: str, target: str, text: str, price: float | None, **more: Any) -> Any:
    return {"kind": kind, "target": target, "text": text, "evidence": HOSTILE, "items": ["m0"],
            "price_usd": price, "effect": "up to 2 labels put right", **more}  # fmt: skip


PROPOSALS = [
    _proposal("relabel_items", HOSTILE, "Put them to the next annotator.", 0.2),
    _proposal("edit_guideline", "billing | delivery", "Say when it is billing.", 0.0),
    _proposal("split_label", "delivery", "Split it.", None),
    _proposal("ask_person", "m0", "What is meant?", None),
]
