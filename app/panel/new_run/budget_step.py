"""The fifth step: what may be spent, and what accuracy is worth."""

from __future__ import annotations

from typing import Any

import streamlit as st

from .. import formats
from ..plain import escaped
from .form import Form, optional
from .prices import USUAL, priced_person, stated

_DEFAULT, _POINT, _ERRORS = "person", "point", "errors"
_WAYS = {
    _DEFAULT: "What a person would cost to correct each wrong label of this file",
    _POINT: "I know what a point of accuracy is worth",
    _ERRORS: "I know what a wrong label costs",
}


def show(form: Form) -> None:
    """Ask for the cap, the value of accuracy and the seed."""
    st.subheader("Budget", anchor=False)
    budget = form.config["budget"]
    budget["usd"] = st.number_input(
        "The run may spend at most (USD)",
        min_value=0.0,
        value=float(budget.get("usd") or 0.0),
        step=1.0,
        format="%.2f",
        key=form.key("usd"),
        help="A call that could pass it is not sent. It can be changed while the run is going on.",
    )
    form.place("usd")
    _value(form)
    human = form.config.setdefault("human", {})
    _price_of_a_person(form)
    if any(one["kind"] == "human" for one in form.config["annotators"]):
        most = st.number_input(
            "Questions to people in a round, at most",
            min_value=0,
            value=int(human.get("questions_per_round", 30)),
            key=form.key("questions"),
        )
        optional(human, "questions_per_round", int(most), 30)
    if not human:
        del form.config["human"]
    form.config["seed"] = int(
        st.number_input(
            "Seed",
            min_value=0,
            value=int(form.config.get("seed") or 0),
            key=form.key("seed"),
            help="Equal seeds and equal answers give equal runs.",
        )
    )


def _price_of_a_person(form: Form) -> None:
    """Ask what a label by a person costs, unless a person's card has said it."""
    if (person := priced_person(form.config)) is not None:
        name, price = person
        counts = stated(form.config)
        words = (
            f"A label by a person counts as {formats.usd(price)}: the price of {name!r}, which is "
            "set under Annotators."
            if counts == price
            else f"A label by a person counts as {formats.usd(counts)} (human.label_usd), and "
            f"{name!r} is paid {formats.usd(price)}. To have one price for both, set it anew under "
            "Annotators."
        )
        st.caption(escaped(words, 400))
        return
    human = form.config["human"]
    unpaid = any(one["kind"] == "human" for one in form.config["annotators"])
    usd = st.number_input(
        "The time for one label by a person is worth (USD)"
        if unpaid
        else "One label by a person costs (USD)",
        min_value=0.0,
        value=stated(form.config),
        step=0.01,
        format="%.2f",
        key=form.key("label_usd"),
        help="Nobody is paid it. It says what a wrong label costs, where nothing else does, and "
        "what it would cost to label everything yourself.",
    )
    optional(human, "label_usd", usd, USUAL)


def _value(form: Form) -> None:
    """When to stop depends on what another point of accuracy is worth."""
    stopping: dict[str, Any] = form.config.setdefault("stopping", {})
    now = _POINT if "point_value_usd" in stopping else _ERRORS if "items" in stopping else _DEFAULT
    way = st.radio(
        "What is accuracy worth? The run stops when the next dollar would buy less.",
        list(_WAYS),
        index=list(_WAYS).index(now),
        format_func=_WAYS.__getitem__,
        key=form.key("value"),
    )
    if way == _POINT:
        stopping["point_value_usd"] = st.number_input(
            "One point (0.01) of accuracy is worth (USD)",
            min_value=0.0,
            value=float(stopping.get("point_value_usd", 5.0)),
            step=1.0,
            format="%.2f",
            key=form.key("point"),
        )
    else:
        stopping.pop("point_value_usd", None)
    if way == _ERRORS:
        left, right = st.columns(2)
        stopping["items"] = int(
            left.number_input(
                "Texts that the labels or the student will decide on",
                min_value=1,
                value=int(stopping.get("items", 10_000)),
                step=1000,
                key=form.key("items"),
            )
        )
        stopping["error_cost_usd"] = right.number_input(
            "One wrong label costs (USD)",
            min_value=0.0,
            value=float(stopping.get("error_cost_usd", 0.05)),
            step=0.01,
            format="%.3f",
            key=form.key("error_cost"),
        )
    else:
        stopping.pop("items", None)
        stopping.pop("error_cost_usd", None)
    if not stopping:
        del form.config["stopping"]
