"""Words of the panel that a newcomer may not know, in one table for the pages and the guide."""

from __future__ import annotations

from html import escape

import streamlit as st

WORDS = (
    ("accuracy", "The share of labels that are right. It is stated only where it was audited."),
    ("annotator", "Whoever gives labels: a chat model, a small model on this machine, a person."),
    (
        "audit",
        "Texts drawn at random that somebody you trust labels, too, to see how often the others "
        "are right.",
    ),
    (
        "certificate",
        "Proof that the last rounds can not have paid for themselves, even if all that changed in "
        "them had become right.",
    ),
    (
        "churn (d)",
        "The share of the stop set about which the student has changed its mind lately. Where "
        "little changes, little is learned.",
    ),
    ("consensus", "The label that a text has after all votes on it are weighed."),
    ("escalate", "To put a doubtful text to the next, usually dearer, annotator."),
    (
        "gate",
        "Something that must hold before the run may stop, such as enough labels of every class.",
    ),
    ("gold", "Labels that are known to be right, such as a column of the input."),
    (
        "interval (95 %)",
        "The range in which the true value lies, but for 1 case in 20. Few audits make it wide.",
    ),
    (
        "kappa",
        "Agreement of two annotators beyond what chance would give: 0 is chance, 1 is always.",
    ),
    (
        "macro-F1",
        "How well the student tells the classes apart, from 0 to 1, rare classes counting as much "
        "as frequent ones.",
    ),
    (
        "not known, uncalibrated",
        "It was not measured: nobody who is trusted has labelled a random sample, so a figure "
        "would be a guess.",
    ),
    ("p_correct, right with", "The probability that a label is right."),
    ("pool", "All texts of the run."),
    ("proposal", "What the critic suggests to change; nothing happens until somebody accepts it."),
    ("query strategy", "How the texts of the next batch are chosen: at random, by doubt, ..."),
    (
        "rho",
        "Of the predictions that changed, how many more became right than wrong, as a share. It "
        "turns churn into an expected gain.",
    ),
    ("round", "A batch of texts is chosen and labelled, and the student learns from it."),
    ("set apart", "Left without a label, because the likeliest one is too doubtful to be given."),
    (
        "stop set",
        "Random texts that are left alone until the rounds are over. On them it is measured "
        "whether the student still changes its mind.",
    ),
    (
        "student",
        "The small model that learns from the labels. It labels the rest of the pool, at no cost.",
    ),
    (
        "sweep",
        "After the last round: votes are bought for single texts where they are worth their price.",
    ),
    (
        "tier",
        "The order in which annotators are asked: tier 1 first, the next one where doubt is left.",
    ),
    ("trusted", "An annotator whose word is taken as right, usually a person."),
    ("value (A)", "What all labels being right instead of wrong would be worth to you, in money."),
)
"""Each word with what it means."""

_CSS = """<style>
.lw-words.lw-words { margin: 0; padding: 0; font-size: .9rem; line-height: 1.4; }
.lw-words dt { font-weight: 600; margin: .45rem 0 0; }
.lw-words dd { margin: 0; }
</style>"""


def words_button() -> None:
    """Offer the words beside other buttons; nothing else is drawn anew for them."""
    st.fragment(_button)()


def words_at_foot() -> None:
    """Offer the words below a page. Over it, keys that answer a question would go unseen."""
    st.fragment(_foot)()


def _button() -> None:
    if st.button("Words", key="words_open", help="What the words of this page mean."):
        st.dialog("Words", width="medium")(_list)()


def _foot() -> None:
    box = st.expander("Words", key="words_unfolded", on_change="rerun")
    if box.open:
        with box:
            _list()


def _list() -> None:
    entries = "".join(f"<dt>{escape(word)}</dt><dd>{escape(what)}</dd>" for word, what in WORDS)
    st.html(f'{_CSS}<dl class="lw-words">{entries}</dl>')


def words_table() -> str:
    """The words as a table in Markdown, for the guide."""
    lines = [f"| {word} | {what} |" for word, what in WORDS]
    return "\n".join(["| Word | What it means |", "| --- | --- |", *lines])
