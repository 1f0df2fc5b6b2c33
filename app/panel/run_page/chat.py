"""The chat of a run: what it decided and was told, what waits, and where one says something."""

from __future__ import annotations

import streamlit as st

from ....tools.watch import RunReader, run_status
from ....tools.watch.feed import PAGE, feed
from ....tools.watch.status import State
from .. import processes
from ..plain import escaped, show_text
from ..review.who import ask_name
from .chat_actions import leave, settling, show_offers, show_proposals
from .chat_messages import rules, show_messages
from .chat_say import asked, last_trouble, say
from .orders import pending_orders

_EVERY_S, _ASKED_S = 4.0, 2.0
"""How often it looks for news of a run, and of a command that somebody waits for."""
_HEIGHT = 520
_GOES_ON: frozenset[State] = frozenset(("stopped", "interrupted", "failed"))
"""States that a run leaves by being resumed, whatever else was ordered."""
_SHOWN, _TYPED = "run_chat_shown", "run_chat_typed"


def show_chat(reader: RunReader) -> None:
    """Show the chat of a run, and take what is said.

    Args:
        reader: The run.
    """
    leave()
    rules()
    # A fragment: to say something must not draw the figures again.
    st.fragment(_chat)(reader)


def _chat(reader: RunReader) -> None:
    state = run_status(reader.folder).state
    pace = _pace(reader, state)
    # What is typed stands outside of the part that is drawn again while something goes on.
    st.fragment(_news, run_every=pace)(reader, state, pace)
    _buttons(reader, state)
    st.chat_input(
        'Say "help", or what you want',
        key=_TYPED,
        max_chars=4_000,
        on_submit=_submitted,
        args=(reader,),
    )
    with st.popover("Your name"):
        ask_name()


def _pace(reader: RunReader, state: State) -> float | None:
    """How often something may come without being asked for; ``None`` if nothing will."""
    jobs = [asked(), processes.run_job(reader.folder), *settling(reader)]
    if state == "running":
        # The run's own process is at work as long as the run is.
        jobs.pop(1)
    if any(job is not None and job.state == "running" for job in jobs):
        return _ASKED_S
    return _EVERY_S if state == "running" else None


def _news(reader: RunReader, state: State, pace: float | None) -> None:
    now = run_status(reader.folder).state
    if now != state or _pace(reader, now) != pace:
        # How often this part is drawn, and the buttons, are decided around it.
        st.rerun(scope="app")
    messages, earlier = feed(reader, int(st.session_state.get(_SHOWN, PAGE)))
    job = asked()
    with st.container(height=_HEIGHT, border=True, autoscroll=True, key="run_chat_log"):
        if earlier:
            st.button("Show earlier", key="run_chat_earlier", on_click=_earlier, type="tertiary")
        show_messages(messages, apart=pace is not None)
        if not messages:
            st.caption("Nothing has happened yet.")
        if job is not None and job.state == "running":
            st.caption("The operator agent looks at the run…")
        if job is not None and job.state == "failed":
            st.error(f"No answer came: {escaped(job.error, 600)}")
    if text := last_trouble():
        st.error("That did not work:")
        show_text(text)
    show_offers(reader, messages)
    show_proposals(reader)


def _buttons(reader: RunReader, state: State) -> None:
    commands = []
    if state == "running":
        commands.append(("Pause", "pause"))
    elif state in _GOES_ON or pending_orders(reader):
        commands.append(("Resume", "resume"))
    commands += [("Status", "status"), ("What would $5 buy?", "what would $5 buy")]
    commands.append(("Help", "help"))
    with st.container(horizontal=True, gap="small"):
        for title, text in commands:
            # A dollar sign begins a formula in Markdown.
            label = title.replace("$", "\\$")
            st.button(label, key=f"run_say_{text.replace(' ', '_')}", on_click=say,
                      args=(reader, text))  # fmt: skip


def _submitted(reader: RunReader) -> None:
    if text := str(st.session_state.get(_TYPED) or "").strip():
        say(reader, text)


def _earlier() -> None:
    st.session_state[_SHOWN] = int(st.session_state.get(_SHOWN, PAGE)) + PAGE
