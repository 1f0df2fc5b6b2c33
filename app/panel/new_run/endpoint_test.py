"""A test of an endpoint before it is relied on: what it can do, said in words."""

from __future__ import annotations

from typing import Any

import streamlit as st

from ...probe import CAP_USD, REQUESTS
from .. import formats, processes
from ..plain import escaped, show_text
from .draft import written
from .form import Form


def test(form: Form, annotator: dict[str, Any], key: str) -> None:
    """Offer the test, and show what it has found."""
    ready = bool(annotator.get("model")) and "price" in annotator
    free = annotator.get("price") == "free"
    cost = "costs nothing at this price" if free else f"costs at most {formats.usd(CAP_USD)}"
    st.caption(
        escaped(f"A test sends at most {REQUESTS} short requests and {cost}.")
        if ready
        else "State the model and the price to test the endpoint."
    )
    if st.button("Test endpoint", key=key, disabled=not ready):
        file = form.draft.folder / f"test-{annotator['name'] or 'model'}.yaml".replace("/", "_")
        file.write_text(written(_only(annotator)), encoding="utf-8")
        args = ("doctor", str(file.resolve()), "--probe", "--usd", str(CAP_USD), "--json")
        processes.forget(key)
        processes.command(key, args)
    job = processes.job(key)
    if job is None:
        return
    if job.state == "running":
        processes.waiting(key, "Asking the endpoint")
        return
    if not isinstance(job.result, dict) or "probes" not in job.result:
        st.error("The test could not be carried out:")
        show_text(job.error)
        return
    for report in job.result["probes"]:
        _show(report)


def _show(report: dict[str, Any]) -> None:
    spent = formats.usd(report["usd"])
    sent = formats.number(report["requests"])
    if report["error"]:
        st.error(
            escaped(f"The endpoint can not be used as it is set now ({sent} requests, {spent}):")
        )
        show_text(report["error"])
        return
    st.success(escaped(f"The endpoint answers ({sent} requests, {spent})."))
    st.table(
        {
            "Answers held to a schema by": report["mode"].replace("_", " "),
            "Limit of tokens kept by": report["limit"],
            "Log-probabilities": "yes" if report["logprobs"] else "no",
            "Seconds for an answer": formats.number(report["seconds"], 2),
        },
        border="horizontal",
    )


def _only(annotator: dict[str, Any]) -> dict[str, Any]:
    """The least configuration in which the endpoint stands."""
    labels = [{"name": "yes"}, {"name": "no"}]
    one = {**annotator, "name": "tested", "trusted": False}
    return {
        "task": {"name": "test of an endpoint", "labels": labels},
        "data": {"path": "none.csv"},
        "annotators": [one],
        "budget": {"usd": CAP_USD},
    }
