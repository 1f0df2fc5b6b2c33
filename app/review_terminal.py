"""The queue of questions in a terminal: one text at a time, answered by a key."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..tools.errors import ConfigError
from ..tools.reviews import Verdict
from ..tools.watch import run_status
from ..tools.watch.desk import HELD, Desk, give, take_back
from ..tools.watch.queue import Question
from .panel.review import keys
from .panel.review.words import BLIND, NOT_BLIND, spoken
from .plain_text import shortened, visible
from .terminal_keys import FIND, HELP, QUIT

if TYPE_CHECKING:
    from rich.console import Console

# As in the panel, but for the one that ends it here.
LABELS = keys.LABELS.replace(QUIT, "")
_ACTIONS = (
    f"{keys.NO_LABEL} no label fits  {keys.SKIP} skip  {keys.UNDO} undo  {keys.FLAG} flag  "
    f"{keys.EXAMPLE} example  {keys.VOTES} votes  {FIND} find a label  {HELP} guidelines  "
    f"{QUIT} quit"
)


@dataclass
class Sitting:
    """One reviewer at one run; `put` goes on until there is nothing left or it is ended.

    Attributes:
        doubtful: Whether doubtful labels are looked at, in place of the run's questions.
        limit: Most items that are put; ``None`` for all.
        pressed: The next key; raises ``EOFError`` when there is none.
        strict: Whether a key that means nothing ends it: in a script, the next would answer the
            wrong text.
        done: Items that were answered or skipped.
    """

    desk: Desk
    reviewer: str
    console: Console
    pressed: Callable[[], str]
    doubtful: bool = False
    limit: int | None = None
    strict: bool = False
    done: int = 0
    _skipped: set[str] = field(default_factory=set)
    _again: str = ""
    _example: bool = False
    _votes: bool = False
    _wanted: str = ""
    _since: float = 0.0

    def put(self) -> None:
        """Put one item after the other; each answer is on the disk before the next is shown.

        Raises:
            ConfigError: A script has given a key that means nothing.
        """
        # What was said is on the disk: an interrupt is one more way to quit.
        with suppress(EOFError, KeyboardInterrupt):
            key = ""
            while key != QUIT and (question := self._next()):
                self._example = False
                # Who knows the label in doubt does not answer blind.
                self._votes = bool(question.doubted)
                self._wanted = ""
                self._show(question)
                self._since = time.monotonic()
                while not self._take(question, key := self.pressed()):
                    pass

    def _next(self) -> Question | None:
        if self.limit is not None and self.done >= self.limit:
            return None
        if self.doubtful:
            ids = self.desk.doubtful(self.reviewer)
            if not ids:
                return None
            return self.desk.doubt(self._again if self._again in ids else ids[0])
        stands = self.desk.queue(self.reviewer, run_status(self.desk.folder).state)
        # What was skipped at an earlier time comes again, after all others.
        todo = stands.todo or [q for q in stands.skipped if q.item_id not in self._skipped]
        return next((q for q in todo if q.item_id == self._again), todo[0] if todo else None)

    def _show(self, question: Question) -> None:
        parts = [visible(question.item_id), visible(question.purpose.replace("_", " "))]
        if question.blind:
            parts.append(BLIND)
        if self.desk.log.ever_answered(question.item_id, self.reviewer):
            parts.append(NOT_BLIND)
        self._line("\n" + " · ".join(parts), "dim")
        self._line(f"\n{visible(shortened(question.text))}\n", "bold")
        if question.doubted:
            self._line(f"{visible(question.doubted)}\n")
        self._labels(question)
        self._line(_ACTIONS, "dim")

    def _labels(self, question: Question) -> None:
        found = keys.matching(list(question.labels), self._wanted)
        for key, label in zip(LABELS, found, strict=False):
            self._line(f"  {key}  {visible(label)}")
        if (unseen := len(found) - len(LABELS)) > 0:
            self._line(f"     and {unseen} more: find them with {FIND}")
        if not found:
            self._line("  no label has these words in its name")

    def _take(self, question: Question, key: str) -> bool:
        """Do what a key says; returns whether it is the next item's turn."""
        if key == QUIT:
            return True
        if key == keys.UNDO:
            return self._undo()
        if key == keys.FLAG:
            flagged = self._give(question.item_id, "flag")
            self._line("  flagged" if flagged else "  it is flagged already")
            # Who has spoken on a doubtful label is done with it.
            return self.doubtful
        if key == keys.EXAMPLE:
            self._example = not self._example
            self._line(f"  offered as an example: {'yes' if self._example else 'no'}")
        elif key == keys.VOTES:
            self._tell(question)
        elif key == HELP:
            self._explain()
        elif key.startswith(FIND):
            self._wanted = key[1:]
            self._labels(question)
        else:
            return self._answer(question, key)
        return False

    def _answer(self, question: Question, key: str) -> bool:
        found = dict(zip(LABELS, keys.matching(list(question.labels), self._wanted), strict=False))
        if key not in found and key not in _WORDS:
            if self.strict:
                raise ConfigError(
                    f"{visible(key)!r} is no key here; expected one of "
                    f"{', '.join([*found, *_WORDS])}, or see --help. What was "
                    "answered before it is kept."
                )
            self._line("  no such key here", "dim")
            return False
        now = time.monotonic()
        if not self.strict and now - self._since < keys.QUIET_S:
            # A key that is held down would answer texts that nobody has read.
            self._since = now
            return False
        label = found.get(key)
        verdict: Verdict = "label" if label is not None else _WORDS[key]
        self._give(question.item_id, verdict, label)
        if verdict == "skip":
            self._skipped.add(question.item_id)
        self._line(f"  {visible(label or verdict.replace('_', ' '))}")
        self.done += 1
        return True

    def _give(self, item: str, verdict: Verdict, label: str | None = None) -> bool:
        return give(
            self.desk, item, self.reviewer, verdict, label,
            example=self._example and label is not None, blind=not self._votes,
        )  # fmt: skip

    def _undo(self) -> bool:
        self.desk.log.refresh()
        word = next(iter(self.desk.log.of_reviewer(self.reviewer)), None)
        if word is None or not take_back(self.desk, word):
            self._line("  there is nothing to take back")
            return False
        self._line(f"  taken back: {visible(word.item_id)}: {visible(spoken(word))}")
        self._again = word.item_id
        self._skipped.discard(word.item_id)
        if word.verdict != "flag":
            self.done = max(0, self.done - 1)
        return True

    def _tell(self, question: Question) -> None:
        if question.blind:
            self._line("  an audit is blind: votes stay hidden until you have answered")
            return
        self._votes = True
        for one in self.desk.heard(question.item_id, self.reviewer):
            sure = f" ({one.p_correct:.1%})" if one.who == HELD and one.p_correct else ""
            self._line(f"  {visible(one.who)}{sure}: {visible(one.label)}  {visible(one.why)}")

    def _explain(self) -> None:
        task = self.desk.reader.config["task"]
        for label in task["labels"]:
            self._line(f"  {visible(label['name'])}: {visible(label.get('description') or '-')}")
        self._line(visible(task.get("guidelines") or "This task has no guidelines."))

    def _line(self, text: str, style: str = "") -> None:
        from rich.text import Text

        self.console.print(Text(text, style))


_WORDS: dict[str, Verdict] = {keys.NO_LABEL: "no_label", keys.SKIP: "skip"}
