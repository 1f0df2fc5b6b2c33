"""One annotator of a draft: its options by kind, its price, and a test of its endpoint."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import streamlit as st

from ....tools.errors import DataError
from ..plain import escaped, show_text, visible
from .checks import VARIABLE
from .endpoint_test import test
from .form import Form, optional
from .prices import USUAL, stated

KINDS = {
    "chat": "Chat model",
    "human": "Person",
    "embedded": "Embedded",
    "recorded": "Recorded answers",
}
_WHAT = {
    "chat": "A model behind any server that speaks the OpenAI protocol.",
    "human": "Answers on the page Review. The run waits for the answers.",
    "embedded": "The nearest label description. Free, offline and weak; not a language model.",
    "recorded": "Votes from a file, charged as if they were asked now.",
}
_UNKNOWN, _FREE, _TOKENS, _LABEL = "not stated", "free", "by tokens", "by label"
_PRICES = {
    "chat": (_UNKNOWN, _TOKENS, _FREE, _LABEL),
    "human": (_UNKNOWN, _LABEL, _FREE),
    "recorded": (_UNKNOWN, _LABEL, _TOKENS, _FREE),
}
_TIERS = 9
_LEAST = 0.0001
_ALSO = "Also what it counts as to correct a wrong label, where nothing else says what one costs."


def card(form: Form, at: int, annotator: dict[str, Any]) -> bool:
    """Edit one annotator in place; true if it is to be removed."""

    def key(name: str) -> str:
        return form.key(f"a{at}_{name}")

    kind = annotator["kind"]
    st.markdown(f"**{KINDS[kind]}**")
    st.caption(_WHAT[kind])
    left, right = st.columns([3, 1], vertical_alignment="bottom")
    annotator["name"] = left.text_input(
        "Name", value=str(annotator.get("name", "")), key=key("name"), max_chars=80
    ).strip()
    default = _TIERS if kind == "human" else 1
    tier = right.number_input(
        "Tier",
        min_value=1,
        max_value=_TIERS,
        value=int(annotator.get("tier", default)),
        key=key("tier"),
    )
    optional(annotator, "tier", int(tier), default)
    form.place(f"a{at}_name")
    if kind == "chat":
        _endpoint(form, at, annotator, key)
    if kind == "recorded":
        _votes(form, annotator, key)
        form.place(f"a{at}_path")
    if kind != "embedded":
        _price(form, annotator, key)
        form.place(f"a{at}_price")
    trusted = st.checkbox(
        "Trusted: its labels are taken as right",
        value=bool(annotator.get("trusted", kind == "human")),
        key=key("trusted"),
    )
    optional(annotator, "trusted", trusted, kind == "human")
    if kind == "chat":
        test(form, annotator, key("test"))
    return st.button("Remove this annotator", key=key("remove"), type="tertiary")


def _endpoint(form: Form, at: int, annotator: dict[str, Any], key: Any) -> None:
    annotator["model"] = st.text_input(
        "Model",
        value=str(annotator.get("model", "")),
        key=key("model"),
        placeholder="as the server calls it",
    ).strip()
    form.place(f"a{at}_model")
    url = st.text_input(
        "Address of the server",
        value=str(annotator.get("base_url") or ""),
        key=key("url"),
        placeholder="OpenAI's; or such as http://localhost:11434/v1",
    ).strip()
    optional(annotator, "base_url", url)
    form.place(f"a{at}_url")
    now, place = str(annotator.get("api_key_env", "OPENAI_API_KEY")), key("env")
    if place not in st.session_state:
        st.session_state[place] = now if VARIABLE.fullmatch(now) else ""
    variable = st.text_input(
        "Environment variable with the key",
        key=place,
        help="The name of the variable. The key itself stands in no file and on no page.",
        on_change=_only_a_name,
        args=(place, st.session_state[place]),
    ).strip()
    refused = st.session_state.pop(f"{place}_refused", False)
    if refused or not VARIABLE.fullmatch(variable):
        st.error(
            "This is not the name of a variable, so it was not kept. Write the name, in capitals "
            "such as OPENAI_API_KEY, and never the key."
        )
    if not VARIABLE.fullmatch(variable):
        return
    optional(annotator, "api_key_env", variable, "OPENAI_API_KEY")
    if os.environ.get(variable):
        st.caption(f"{escaped(variable)} is set.")
    else:
        st.caption(
            f"{escaped(variable)} is not set where the panel runs. That is right for a server that "
            "needs no key; otherwise set it and start the panel again."
        )


def _only_a_name(place: str, before: str) -> None:
    """Put back what stood in the field before: what is no name may be the key itself."""
    if not VARIABLE.fullmatch(st.session_state[place].strip()):
        st.session_state[place] = before
        st.session_state[f"{place}_refused"] = True


def _price(form: Form, annotator: dict[str, Any], key: Any) -> None:
    choices = _PRICES[annotator["kind"]]
    price = annotator.get("price")
    now = _kind_of(price)
    left, *others = st.columns(3, vertical_alignment="bottom")
    chosen = left.selectbox(
        "Price",
        choices,
        index=choices.index(now) if now in choices else 0,
        key=key("price"),
    )
    given = price if isinstance(price, dict) else {}
    # What a person's label costs may have been said under Budget before.
    usual = max(stated(form.config), _LEAST) if annotator["kind"] == "human" else USUAL
    if chosen == _FREE:
        annotator["price"] = "free"
    elif chosen == _LABEL:
        usd = others[0].number_input(
            "USD for each label",
            min_value=_LEAST,
            value=float(given.get("per_label", usual)),
            step=0.01,
            format="%.4f",
            key=key("per_label"),
            help=_ALSO if annotator["kind"] == "human" else None,
        )
        annotator["price"] = {"per_label": usd}
    elif chosen == _TOKENS:
        annotator["price"] = {
            **given,
            "in": _per_million(others[0], "in", given.get("in"), key),
            "out": _per_million(others[1], "out", given.get("out"), key),
        }
        annotator["price"].pop("per_label", None)
        if None in annotator["price"].values():
            annotator.pop("price")
            st.error("Both prices are needed: take them from the provider's page.")
    else:
        annotator.pop("price", None)


def _per_million(place: Any, which: str, now: Any, key: Any) -> float | None:
    found: float | None = place.number_input(
        f"USD for a million tokens {which}",
        min_value=0.0,
        value=None if now is None else float(now),
        step=0.05,
        format="%.3f",
        key=key(f"price_{which}"),
    )
    return found


def _kind_of(price: Any) -> str:
    if price == "free":
        return _FREE
    if isinstance(price, dict):
        return _LABEL if "per_label" in price else _TOKENS
    return _UNKNOWN


def _votes(form: Form, annotator: dict[str, Any], key: Any) -> None:
    given = st.file_uploader(
        "File of votes: CSV with the columns item_id, annotator, label, or one column for each "
        "annotator; or JSONL",
        type=["csv", "jsonl"],
        key=key("votes"),
    )
    kept = key("votes_kept")
    # It comes with each rerun of the page, and may be large.
    if given is not None and st.session_state.get(kept) != given.file_id:
        try:
            annotator["path"] = str(form.draft.keep(f"votes-{given.name}", given).resolve())
        except DataError as error:
            show_text(str(error))
        else:
            st.session_state[kept] = given.file_id
    if annotator.get("path"):
        st.caption(f"Votes: {escaped(Path(str(annotator['path'])).name)}")
    column = st.text_input(
        "Its name in the file, if it is another",
        value=str(annotator.get("column") or ""),
        key=key("column"),
    ).strip()
    optional(annotator, "column", visible(column))
