"""What an operator can say, as data: help and documentation come from it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from . import builders
from .builders import Build


@dataclass(frozen=True)
class Command:
    """One thing that can be said.

    Attributes:
        name: Of the question, or the kind of the order.
        forms: As they are documented; each is read by one of the patterns.
        what: What it does, for the table.
    """

    name: str
    ask: bool
    forms: tuple[str, ...]
    what: str
    patterns: tuple[re.Pattern[str], ...]
    build: Build


def command_rows() -> list[tuple[str, str]]:
    """(what can be said, what it does) of every command, for help and for the documentation."""
    return [(" / ".join(command.forms), command.what) for command in COMMANDS]


def command_table() -> str:
    """The commands as a table in Markdown, for the documentation."""
    rows = [f"| `{'`, `'.join(c.forms)}` | {c.what} |" for c in COMMANDS]
    return "\n".join(["| Say | What it does |", "| --- | --- |", *rows])


def _re(*patterns: str) -> tuple[re.Pattern[str], ...]:
    return tuple(re.compile(pattern, re.IGNORECASE | re.DOTALL) for pattern in patterns)


_PROPOSAL = r"(?:the )?(?:proposal|suggestion)?\s*(?:no\.?|number|#)?\s*"
GUIDELINE = re.compile(
    r"(?:(?:please )?(?:re-?annotate|re-?label|start again|annotate again)(?: everything| it)? "
    r"with "
    r"(?:the|a|this) new guidelines?|(?:add (?:a |the |this )?|new )?guidelines?(?=\s*:))"
    r"\s*(?::\s*(?P<text>.*)|[.!]?)",
    re.IGNORECASE | re.DOTALL,
)

COMMANDS: tuple[Command, ...] = (
    Command(
        "help",
        True,
        ("help", "what can I say"),
        "This list.",
        _re(r"help|\?|commands?|what can (?:i|you) (?:say|do|ask)|what do you understand"),
        builders.question("help"),
    ),
    Command(
        "status",
        True,
        ("status", "where are we"),
        "Where the run stands: state, round, money, last check, what waits for you.",
        _re(
            r"(?:the |run )?(?:status|state|progress)(?: of the run)?|where are (?:we|you)|how far"
            r"(?: are (?:we|you)| is it)?|what(?:'s| is) (?:going on|happening|the status)|"
            r"how is it going|what are you doing|"
            r"how many(?: \w+)? (?:are|is)(?: there)? left(?: for (?:me|us))?(?: to (?:answer|"
            r"review|label|do))?|what(?: should (?:i|we) do)? next|what(?:'s| is) next|"
            r"what (?:should|can) (?:i|we) do now|what waits(?: for me)?"
        ),
        builders.question("status"),
    ),
    Command(
        "money",
        True,
        ("money", "how much did it cost"),
        "Spent, reserved, uncertain, left; by annotator and agent.",
        _re(
            r"(?:the )?(?:money|costs?|spending|budget|spent)|how much (?:money )?(?:did|does|has|"
            r"have|was|is|do)(?: (?:it|we|you|the run|been|is|are))*(?: so far)?"
            r"(?: (?:cost|costs|spent|spend|left|paid))?(?: so far)?|what (?:did|does|has) (?:it|"
            r"this|the run) costs?(?: so far)?|how much (?:money )?is left|what is left"
        ),
        builders.question("money"),
    ),
    Command(
        "quality",
        True,
        ("how good are the labels", "accuracy"),
        "Audited accuracy with its interval, or why there is none.",
        _re(
            r"how good(?: (?:are|is) (?:it|they|we|the (?:labels?|student|run|classifier|result)))?"
            r"(?: now| so far)?|(?:what(?:'s| is) the )?(?:accuracy|quality|agreement)(?: so far)?|"
            r"how accurate(?: (?:is it|are (?:they|the labels)))?"
        ),
        builders.question("quality"),
    ),
    Command(
        "stopping",
        True,
        ("when will it stop", "why did it stop"),
        "The stop rule's arithmetic: what it compares, its gates, the hard caps.",
        _re(
            r"(?:when|why|how)(?: (?:will|does|did|do|has|have|is|was|not|isn't|doesn't|didn't))*"
            r"(?: (?:it|you|we|the run))?(?: not)? (?:stop|stopped|stopping|end|ended|finish|"
            r"finished|done)(?: yet| now)?|(?:the )?stop(?:ping)? (?:rule|check)|"
            r"how long (?:will it take|is left|does it take)"
        ),
        builders.question("stopping"),
    ),
    Command(
        "why",
        True,
        ("why ITEM", "why this label"),
        "An item's text, label, votes with prices and reasons. `this` is the item that is open.",
        _re(
            r"why (?:is |has |does |was )?(?P<item>this|it)(?: (?:label|item|text|one))?"
            r"(?: (?:labelled|labeled|called))?",
            r"(?:why|explain|show(?: me)?)(?: item)? (?P<item>\S+)",
            r"why (?:is|was|has|does) (?:item )?(?P<item>\S+)(?: .*)?",
            r"why did (?:it|you|they) (?:label|call) (?:item )?(?P<item>\S+)(?: .*)?",
        ),
        builders.why,
    ),
    Command(
        "confusion",
        True,
        ("what confuses LABEL and LABEL", "confusions"),
        "Labels that annotators, and the student, take for each other, with items.",
        _re(
            r"(?:what|which (?:items?|texts?)) (?:confuses?|mix(?:es)? up|separates?) "
            r"(?P<one>.+?) (?:and|with|vs\.?|from) (?P<other>.+)",
            r"(?:the )?(?:difference|confusions?) between (?P<one>.+?) and (?P<other>.+)",
            r"(?P<one>.+?) (?:vs\.?|versus) (?P<other>.+)",
            r"(?:the )?confusions?|what(?:'s| is| gets)? (?:confused|mixed up|confusing)|"
            r"which labels (?:are|get) (?:confused|mixed up)",
        ),
        builders.confusion,
    ),
    Command(
        "next_dollars",
        True,
        ("what would $5 more buy", "what would another $5 buy"),
        "Points of accuracy that more money is expected to bring, with a band.",
        _re(
            r"what (?:would|will|does|do|could|can) (?:another |an additional |the next )?"
            r"(?P<amount>(?!more\b).+?)(?: more)? (?:buy|bring|get|give|gain)(?: (?:me|us))?",
            r"what (?:would|will|does|could) (?:more money|another dollar) (?:buy|bring|get)",
            r"is it worth (?:another )?(?P<amount>.+?)(?: more)?",
        ),
        builders.next_dollars,
    ),
    Command(
        "proposals",
        True,
        ("proposals", "what do you propose"),
        "What the critic proposes, with price, evidence and predicted effect.",
        _re(
            r"(?:show |list |the |open |all )*(?:proposals|suggestions)|"
            r"what do you (?:propose|suggest)|any (?:proposals|suggestions)"
        ),
        builders.question("proposals"),
    ),
    Command(
        "stop",
        False,
        ("pause",),
        "Pauses at the next safe point; `resume` goes on from there.",
        _re(r"(?:pause|hold|wait|hold on)(?: it| the run| here| now)?|stop for (?:now|a while)"),
        builders.fixed("stop"),
    ),
    Command(
        "resume",
        False,
        ("resume", "go on"),
        "Starts the run's process again where it was.",
        _re(
            r"(?:resume|go on|continue|carry on|unpause|start|restart|go)"
            r"(?: it| the run| again| now)*"
        ),
        builders.fixed("resume"),
    ),
    Command(
        "finish",
        False,
        ("finish", "stop"),
        "Ends the run: nothing more is bought after the batch under way; labels are delivered.",
        _re(
            r"(?:finish|end|stop|complete|wrap up|wrap it up)(?: it| the run| now| here| up)*"
            r"(?: and deliver)?|(?:that's |that is )?enough|deliver(?: now| the labels)?|"
            r"stop (?:buying|spending)"
        ),
        builders.finish,
    ),
    Command(
        "cap",
        False,
        ("cap $3", "raise the cap to 3 dollars", "spend at most $2 more"),
        "A new money cap from the next request on. With `more`: on top of what is spent.",
        _re(
            r"(?:(?P<verb>set|put|raise|increase|lower|cut|reduce|decrease|change|make|move) )?"
            r"(?:the |my |a |new |money )*(?:cap|budget|limit)(?: of)?"
            r"(?: (?P<by>by)|(?: to| at| of| is|:|=))? ?"
            r"(?P<amount>[^a-z\s].*|usd.*|nan|[+-]?inf(?:inity)?)",
            r"(?:do not |don't )?spend (?:at most|up to|no more than|not more than|max(?:imum)?|"
            r"only|more than) (?P<amount>.+?)(?: (?P<more>more))?(?: in (?:all|total))?",
            r"(?:you (?:can|may) )?spend (?:another|an additional) (?P<amount>.+?)(?P<more>)?",
        ),
        builders.cap,
    ),
    Command(
        "focus",
        False,
        ("focus on LABEL[, LABEL] [for 3 rounds]",),
        f"The next batches ({builders.FOCUS_ROUNDS} without a number) search for these labels.",
        _re(
            r"(?:focus (?:on|upon)|concentrate on|search for|look for|find more|get more)"
            r"(?: labels?)? (?P<labels>.+?)(?: for (?:the next )?(?P<rounds>\S+) (?:rounds?|batch"
            r"(?:es)?))?"
        ),
        builders.focus,
    ),
    Command(
        "value",
        False,
        ("a point is worth $20",),
        "What a point of accuracy is worth, from the next check of the stop rule on.",
        _re(
            r"(?:a|one|1|each|every|the) (?:percentage )?point(?: of accuracy)? "
            r"(?:is worth|is|=|costs) (?P<amount>.+)",
            r"(?:set )?(?:the )?value(?: of (?:a|one) point(?: of accuracy)?)?"
            r"(?: to| is| of|:|=)? (?P<amount>[^a-z\s].*)",
        ),
        builders.value,
    ),
    Command(
        "accept_proposal",
        False,
        ("accept proposal 2", "accept proposal 2 as NAME[, NAME]: TEXT"),
        "Orders what was proposed; a change of the task is written as a task for a new run.",
        _re(
            rf"(?:accept|approve|take|yes to|do) {_PROPOSAL}(?P<number>\d+)"
            r"(?: (?:as|named|with the names?) (?P<names>[^:]+?))?(?:\s*:\s*(?P<text>.+))?",
            r"(?:accept|approve)(?: it| (?:the )?(?:proposal|suggestion))?(?P<number>(?!))?",
        ),
        builders.accept,
    ),
    Command(
        "dismiss_proposal",
        False,
        ("dismiss proposal 2",),
        "Answers a proposal with no.",
        _re(
            rf"(?:dismiss|reject|decline|refuse|drop|no to) {_PROPOSAL}(?P<number>\d+)",
            r"(?:dismiss|reject|decline)(?: it| (?:the )?(?:proposal|suggestion))?"
            r"(?P<number>(?!))?",
        ),
        builders.dismiss,
    ),
    Command(
        "review",
        False,
        ("relabel ITEM as LABEL", "this is LABEL"),
        "A correction in your name: the label is yours and final, and teaches the student.",
        _re(
            r"(?:relabel|re-label|label|correct|change|mark) (?P<item>.+?) (?:as|to|into) "
            r"(?:label )?(?P<label>.+)",
            r"(?P<item>this|it|\S+) (?:is|should be|must be) (?:really |actually |a |an )?"
            r"(?P<label>.+)",
        ),
        builders.relabel,
    ),
    Command(
        "hand_in",
        False,
        ("hand in",),
        "Open questions: the run goes on with the answers that are there.",
        _re(
            r"hand(?: it| them| the answers)? in(?: the answers)?|"
            r"(?:submit|use)(?: my| the)? answers|go on with (?:my|the|these) answers"
        ),
        builders.fixed("hand_in"),
    ),
    Command(
        "guideline",
        False,
        ("guideline: TEXT", "re-annotate with the new guideline: TEXT"),
        "Adds a sentence to the guidelines: a task for a new run, with the votes that hold. "
        "Without a text: the guideline proposed last.",
        (GUIDELINE,),
        builders.guideline,
    ),
)
