"""What waits for the operator's word: offers to be confirmed, proposals to be decided."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from ....agents.operator.facts import read_facts
from ....agents.operator.grammar import sentence
from ....agents.operator.orders import names_needed
from ....agents.operator.said import Order
from ....agents.operator.talk import carried_out, settle
from ....tools.errors import LabelwrightError
from ....tools.watch import RunReader
from ....tools.watch.feed import Message
from ....tools.watch.proposals import Suggestion
from .. import formats, links, processes
from ..plain import escaped, show_text
from ..session import runs_root
from .chat_messages import change_html, safe
from .chat_say import operator, say, trouble

OFFERS, PROPOSALS = 3, 5
"""How many of each are shown at once."""
_SETTLING, _LEAVING = "run_chat_settling", "run_chat_leaving"
_UNFOLDED, _PAGE = "run_proposals_unfolded", "run_proposals_page"


def show_offers(reader: RunReader, messages: list[Message]) -> None:
    """The latest orders that wait for a yes, and the tasks that confirmed ones have left."""
    waiting = [one for one in messages if one.kind == "offer" and one.state == "open"]
    for offer in waiting[-OFFERS:]:
        _offer(reader, offer)
    for offer in messages[-OFFERS:]:
        for file in offer.data.get("files") or []:
            _new_run(reader, str(file), offer.key)


def leave() -> None:
    """Open the page of a new run, if the visitor has just asked for it."""
    if (task := st.session_state.pop(_LEAVING, None)) is not None:
        links.open_page("new", task=task)


def show_proposals(reader: RunReader) -> None:
    """The open proposals as cards."""
    facts = read_facts(reader)
    waiting = [one for one in facts.proposals if one.state == "open"]
    if not waiting:
        return
    word = "proposal waits" if len(waiting) == 1 else "proposals wait"
    # Kept here: the browser forgets it with each change of the title.
    fold = f"{_UNFOLDED}_{reader.name}"
    unfolded = bool(st.session_state.get(fold, facts.running))
    box = st.expander(
        f"{len(waiting)} {word} for your word",
        expanded=unfolded,
        on_change=_unfold,
        args=(fold, not unfolded),
    )
    if not unfolded:
        return  # its cards are drawn for those who look
    pages = -(-len(waiting) // PROPOSALS)
    with box:
        above, page = st.container(), 1
        if pages > 1:
            # There are fewer after each that is decided.
            turned = f"{_PAGE}_{reader.name}"
            st.session_state[turned] = min(int(st.session_state.get(turned) or 1), pages)
            page = st.pagination(pages, key=turned)
        newest_first = waiting[::-1]
        with above:
            for one in newest_first[(page - 1) * PROPOSALS : page * PROPOSALS]:
                _card(reader, one)


def _unfold(fold: str, unfolded: bool) -> None:
    st.session_state[fold] = unfolded


def _offer(reader: RunReader, offer: Message) -> None:
    key, number = f"run_offer_{reader.name}_{offer.number}", offer.number
    job = processes.job(_job_key(reader, number))
    with st.container(border=True):
        st.html(
            f'<div class="lw-log"><p class="lw-mark">{safe(offer.title)}?</p>'
            f"{change_html(offer)}</div>"
        )
        if job is not None and job.state == "running":
            st.caption("It is being written; this takes some seconds.")
            return
        if job is not None and job.state == "failed":
            st.error("It could not be done:")
            show_text(job.error)
        with st.container(horizontal=True):
            st.button(
                "Confirm",
                key=f"{key}_yes",
                type="primary",
                on_click=_settle,
                args=(reader, number),
                kwargs={"yes": True},
            )
            st.button(
                "Cancel",
                key=f"{key}_no",
                on_click=_settle,
                args=(reader, number),
                kwargs={"yes": False},
            )


def _settle(reader: RunReader, offer: int, *, yes: bool) -> None:
    by = operator()
    try:
        outcome = settle(reader, offer, yes=yes, by=by)
        if outcome.status == "refused":
            trouble(outcome.what)
        order = outcome.todo
        if order is None:
            return
        if order.kind == "resume":
            processes.resume_run(reader.folder)
            carried_out(reader, offer, "its process was started", by=by)
            return
        # It reads all votes and checks the whole configuration: not in the panel's process.
        runs = str(runs_root().resolve())
        options = ["--confirm", str(offer), "--by", by, "--runs", runs, "--json"]
        processes.forget(_job_key(reader, offer))
        processes.command(_job_key(reader, offer), ["say", *options, "--", reader.name])
        st.session_state.setdefault(_SETTLING, set()).add(offer)
    except LabelwrightError as error:
        trouble(str(error))


def settling(reader: RunReader) -> list[processes.Job]:
    """The commands at work for orders that this visitor has confirmed."""
    offers: set[int] = st.session_state.get(_SETTLING, set())
    jobs = [processes.job(_job_key(reader, number)) for number in offers]
    return [job for job in jobs if job is not None]


def _job_key(reader: RunReader, offer: int | None) -> str:
    return f"offer:{reader.folder.resolve()}:{offer}"


def _new_run(reader: RunReader, file: str, key: str) -> None:
    name = Path(file).name
    if not name.endswith("-task.yaml"):
        return
    if st.button(f"New run with the task in {escaped(name)}", key=f"run_task_{key}_{name}"):
        # Another page can not be opened from within a fragment.
        st.session_state[_LEAVING] = f"{reader.name}/{name}"
        st.rerun(scope="app")


def _card(reader: RunReader, one: Suggestion) -> None:
    key = f"run_proposal_{reader.name}_{one.number}"
    price = "price not known" if one.price_usd is None else formats.usd(one.price_usd)
    facts = [("Price", price), ("Evidence", one.evidence), ("Expected", one.effect)]
    rows = "".join(f"<li>{safe(name)}: {safe(value)}</li>" for name, value in facts if value)
    with st.container(border=True):
        st.html(
            f'<div class="lw-log"><p class="lw-mark">{one.number}. '
            f"{safe(one.kind.replace('_', ' '))}: {safe(one.target)}</p><p>{safe(one.text)}</p>"
            f"<ul>{rows}</ul></div>"
        )
        if one.changes_task:
            st.caption("It changes the task, so it makes a task for a new run.")
            _fields(one, key)
        with st.container(horizontal=True):
            st.button(
                "Accept",
                key=f"{key}_yes",
                disabled=not one.acceptable,
                on_click=_accept,
                args=(reader, one.number, key),
            )
            st.button(
                "Dismiss",
                key=f"{key}_no",
                on_click=say,
                args=(reader, f"dismiss proposal {one.number}"),
            )


def _fields(one: Suggestion, key: str) -> None:
    """Ask for what a change of the task leaves open."""
    if one.kind in {"add_label", "merge_labels", "split_label"}:
        many = one.kind == "split_label"
        needed = names_needed(one)
        st.text_input(
            "Names of the new labels, with commas" if many else "Name of the label",
            key=f"{key}_names",
            placeholder="" if needed else "as proposed",
        )
    if one.kind != "remove_label":
        guideline = one.kind == "edit_guideline"
        st.text_area(
            "The guideline" if guideline else "Description",
            key=f"{key}_text",
            placeholder="as proposed" if guideline else "",
            height=70,
        )


def _accept(reader: RunReader, number: int, key: str) -> None:
    named = [name.strip() for name in st.session_state.get(f"{key}_names", "").split(",")]
    text = " ".join(st.session_state.get(f"{key}_text", "").split()) or None
    names = [name for name in named if name]
    order = Order("accept_proposal", {"number": number, "names": names, "text": text})
    say(reader, sentence(order))
