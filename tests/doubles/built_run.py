"""A run's folder filled by hand, through the ledger and the snapshot that runs use."""

import numpy as np
import yaml

from labelwright.tools.ledger import Call, Consensus, Decision, Settlement, Vote
from labelwright.tools.snapshot import Snapshot
from labelwright.tools.watch import RunReader

LABELS = ["a", "b", "c"]
ANNOTATORS = [
    {"name": "cheap", "trusted": False},
    {"name": "dear", "trusted": False},
    {"name": "person", "trusted": True},
]


def configured(folder, **more):
    config = {"task": {"labels": [{"name": n} for n in LABELS]}, "annotators": ANNOTATORS}
    (folder / "run.yaml").write_text(yaml.safe_dump({**config, "budget": {"usd": 5.0}, **more}))
    return RunReader(folder)


def call(key, annotator="cheap", purpose="label"):
    return Call(key, "annotator", annotator, "model", purpose, 1)


def vote(ledger, item, annotator, label, *, purpose="label", cost=0, attempt=0):
    key = f"{item} {annotator} {attempt}"
    answer = (label, None) if label else (None, "not_in_label_set")
    given = Vote(item, annotator, *answer, "prompt", attempt, purpose, 1, cost)
    ledger.record(call(key, annotator, purpose), Settlement("answered", cost), [given])


def conclude(ledger, step, entries):
    ledger.votes.conclude(
        step, 1, [Consensus(i, lab, 0.9, True, src, out, "", {}) for i, lab, src, out in entries]
    )


def pooled(folder, ids, vectors=None, texts=None):
    (folder / "pool").mkdir(parents=True)
    if vectors is None:
        vectors = np.arange(1, 4 * len(ids) + 1, dtype=np.float32).reshape(-1, 4)
    pool = Snapshot(folder / "pool", fingerprint="f", dim=vectors.shape[1], collection="c")
    pool.append(ids, texts or [f"text {i}" for i in ids], vectors, "real")
    pool.close()


def metrics(spent, **more):
    audit = {"audited": 0, "audit_student": None, "audit_student_low": 0, "audit_student_high": 1}
    return {
        "spent": spent,
        "votes": 10,
        "labels": 8,
        "agreement": 0.75,
        "macro_f1": 0.5,
        "audit_label_errors": 0,
        "classes": {"a": 4, "b": 4, "c": 0},
        **audit,
        **more,
    }


def checked(round_, verdict, stop=None, **more):
    check = {"verdict": verdict, "why": "because", "money_next": 40, "next_gain": 30, **more}
    gates = [{"name": "labels", "passed": False, "waived": True, "detail": "few"}]
    return Decision(
        4 * round_,
        round_,
        "critic",
        "stop_check",
        {"stop": stop, "order": None},
        {"check": check, "gates": gates, "explanation": "1 + 1", "next_dollar": "buys 2"},
    )
