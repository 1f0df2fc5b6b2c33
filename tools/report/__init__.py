"""The report of a run: one HTML file that needs no network and no script."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias

from jinja2 import ChainableUndefined, Environment, Template, Undefined

from ..export import write_text
from ..money import show, to_nano
from . import figures
from .consistency import consistency_words

Summary: TypeAlias = Mapping[str, Any]

NOTHING = "\N{EN DASH}"
STOPS = {
    "certificate": "the last rounds can not have been worth their money, whatever they changed",
    "cost_plateau": "the next dollar was no longer worth it",
    "pool_exhausted": "every text outside the stop set has been asked about",
    "max_rounds": "it reached the cap on rounds",
    "cap": "it reached a hard limit",
    "operator": "the operator ended the run",
}
SOURCES = {
    "person": "a trusted annotator, or a correction by a person",
    "panel": "several annotators",
    "model": "one annotator",
    "student": "the student alone",
}


def write_report(path: Path, summary: Summary) -> None:
    """Write the report; the file is replaced at once.

    Args:
        path: the HTML file.
        summary: what the run came to, as plain values. Whatever is missing or None is shown as
            missing; texts are inert, whatever they hold.
    """
    write_text(path, _template().render(_view(summary)))


def percent(share: float | Undefined | None) -> str:
    """A share for people: ``94.1%``."""
    return NOTHING if _missing(share) else f"{share:.1%}"


def usd(amount: float | Undefined | None) -> str:
    """An amount of USD for people; see `money.show`."""
    return NOTHING if _missing(amount) else show(to_nano(float(amount)))  # type: ignore[arg-type]


def count(value: float | Undefined | None) -> str:
    """A whole number with separators."""
    return NOTHING if _missing(value) else f"{value:,}"


def number(value: float | Undefined | None) -> str:
    """A figure with two decimals, such as an F1."""
    return NOTHING if _missing(value) else f"{value:.2f}"


def accuracy(interval: Mapping[str, Any] | Undefined | None) -> str:
    """An accuracy with its interval, or ``uncalibrated`` where nothing backs one."""
    if not interval or interval.get("estimate") is None:
        return "uncalibrated"
    low, high = percent(interval["low"]), percent(interval["high"])
    return f"{percent(interval['estimate'])} (95% interval {low} to {high}, n = {interval['n']:,})"


def share_interval(interval: Mapping[str, Any] | Undefined | None) -> str:
    """A share with the ends of its interval: ``12.0% (8.1% to 16.9%)``."""
    if not interval or interval.get("estimate") is None:
        return NOTHING
    low, high = percent(interval["low"]), percent(interval["high"])
    return f"{percent(interval['estimate'])} ({low} to {high})"


def guaranteed(summary: Summary) -> str:
    """What is proven of the labels, or why nothing is; empty where no guarantee was asked for."""
    found = summary.get("guarantee")
    if not found:
        return ""
    terms = f"{100 * found['error']:g}% of"
    # Of runs of earlier versions there are none.
    given = found.get("escalated_labels", 0)
    if found["threshold"] is None:
        told = [
            f"No guarantee that at most {terms} the labels are wrong: {found['why_not']}.",
            _audits_wanted(found),
            _escalated(found),
            "Labels were kept as they are without a guarantee.",
        ]
        return " ".join(part for part in told if part)
    since = found.get("corrected")
    after = ""
    if since:
        after = (
            f" After that test people have corrected {_labels(since)}, which makes them only "
            "better."
        )
    whose = f"{_labels(found['accepted'])} that no trusted annotator has given"
    if found.get("of") == "delivered":
        whose = (
            f"{_labels(found['accepted'] + given)} accepted by the guarantee or given by the "
            "trusted annotator afterwards"
        )
    escalated = _escalated(found)
    apart = (
        f"{escalated} What is left was set apart." if escalated else "The others were set apart."
    )
    return (
        f"At most {terms} the {whose} are wrong, with {100 * found['confidence']:g}% confidence, "
        f"from {count(found['audits'])} audits drawn at random at the end. {apart}{after}"
    )


def _labels(n: int) -> str:
    return "1 label" if n == 1 else f"{count(n)} labels"


def _audits_wanted(found: Mapping[str, Any]) -> str:
    """How many audits it takes, where it is them that were too few; empty elsewhere."""
    few = "audits" if found["audits"] < found["needed"] else None
    if found.get("short_of", few) != "audits":
        return ""
    audits = "1 audit" if found["needed"] == 1 else f"{count(found['needed'])} audits"
    return (
        f"It takes {audits} without a wrong label, and more where some are wrong "
        "(ensemble.guarantee.audits)."
    )


def _escalated(found: Mapping[str, Any]) -> str:
    """What came of the texts that went to the trusted annotator; empty where none did."""
    if not found.get("escalated"):
        return ""
    n, given = found["escalated"], count(found["escalated_labels"])
    texts = "1 of the other texts" if n == 1 else f"{count(n)} of the other texts"
    return f"The trusted annotator was asked about {texts} and gave {given} a label."


def why_stopped(summary: Summary) -> str:
    """Why the run ended, as a sentence."""
    stop, rounds = summary.get("stop"), last_check(summary) or summary.get("rounds") or 0
    times = f"{rounds} round{'' if rounds == 1 else 's'}"
    if stop:
        reason = STOPS.get(stop["reason"]) or stop["reason"].replace("_", " ")
        return f"It stopped after {times}: {reason}."
    if summary.get("status") == "waiting_for_people":
        return f"It is waiting for answers of people, after {times}; it can be resumed."
    return f"It is not finished: {times} so far; it can be resumed."


def last_check(summary: Summary) -> int | None:
    """The last round that the rule looked at: the training after the sweep is not one of them."""
    checked = [int(row["round"]) for row in summary.get("curve") or [] if row.get("check")]
    return checked[-1] if checked else None


def kept_student(summary: Summary) -> str:
    """Whose student is delivered: ``round 3``, or ``the last training``."""
    return figures.training(kept_round(summary) or {"round": summary.get("best_round")})


def kept_round(summary: Summary) -> Mapping[str, Any]:
    """The curve's row of the round whose student is delivered; empty without one."""
    rows = {row["round"]: row for row in summary.get("curve") or []}
    return rows.get(summary.get("best_round")) or {}


@cache
def _template() -> Template:
    environment = Environment(
        autoescape=True,
        undefined=ChainableUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: NOTHING if value is None else value,
    )
    environment.filters |= {
        "percent": percent,
        "usd": usd,
        "count": count,
        "number": number,
        "accuracy": accuracy,
        "interval": share_interval,
    }
    source = Path(__file__).with_name("report.html.j2").read_text(encoding="utf-8")
    return environment.from_string(source)


def _missing(value: object) -> bool:
    return value is None or isinstance(value, Undefined)


def _view(summary: Summary) -> dict[str, Any]:
    curve = summary.get("curve") or []
    stop_round = last_check(summary) if summary.get("stop") else None
    checks = [evidence for evidence in summary.get("stop_checks") or [] if evidence.get("check")]
    return {
        "summary": summary,
        "curve": curve,
        "stop_round": stop_round,
        "why_stopped": why_stopped(summary),
        "guaranteed": guaranteed(summary),
        "kept": kept_round(summary),
        "kept_student": kept_student(summary),
        "evidence": checks[-1] if checks else {},
        "learning_curve": figures.learning_curve(curve, stop_round),
        "stop_evidence": figures.stop_evidence(curve, stop_round),
        "churn": figures.churn(curve, stop_round),
        "parts": _parts(summary.get("labels") or {}),
        "classes": _classes(summary, curve),
        "consistency": consistency_words(summary),
        "spending": _spending(summary),
        "files": sorted(Path(file).name for file in (summary.get("files") or {}).values()),
    }


def _parts(labels: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Sources of the delivered labels and what got none, in a fixed order."""
    sources = labels.get("by_source") or {}
    known = [name for name in SOURCES if name in sources]
    rows = [(name, sources[name]) for name in [*known, *sorted(sources.keys() - SOURCES.keys())]]
    rows += [("set apart", labels.get("set_apart") or 0), ("unlabelled", labels.get("unlabelled"))]
    texts = labels.get("texts") or 0
    return [
        {"name": name, "n": n, "share": n / texts, "what": SOURCES.get(name, "")}
        for name, n in rows
        if n and texts
    ]


def _classes(summary: Summary, curve: list[Any]) -> list[dict[str, Any]]:
    """Delivered labels by class, the most frequent first, with the labels the student learnt."""
    by_label = (summary.get("labels") or {}).get("by_label") or {}
    learnt = (kept_round(summary) or (curve[-1] if curve else {})).get("classes") or {}
    shares = summary.get("class_shares") or {}
    total, most = sum(by_label.values()), max(by_label.values(), default=0)
    return [
        {
            "name": name,
            "n": n,
            "share": n / total if total else 0.0,
            "bar": 100 * n / most if most else 0.0,
            "learnt": learnt.get(name),
            "in_pool": shares.get(name),
        }
        for name, n in sorted(by_label.items(), key=lambda entry: -entry[1])
    ]


def _spending(summary: Summary) -> list[dict[str, Any]]:
    """What each annotator and each agent's purpose cost, the dearest first."""
    rows = [
        {"who": row["annotator"], "purpose": "votes", "usd": row.get("spent_usd") or 0.0}
        for row in summary.get("annotators") or []
    ]
    rows += [
        {
            "who": row["agent"],
            "purpose": row["purpose"],
            "usd": row.get("cost") or 0.0,
            "requests": row.get("requests"),
            "tokens": (row.get("tokens_in") or 0) + (row.get("tokens_out") or 0),
            "failed": row.get("failed"),
        }
        for row in summary.get("agents") or []
    ]
    most = max((row["usd"] for row in rows), default=0.0)
    rows.sort(key=lambda row: (-row["usd"], row["who"], row["purpose"]))
    return [{**row, "bar": 100 * row["usd"] / most if most else 0.0} for row in rows]
