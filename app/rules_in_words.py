"""The stop rules of a replay in plain words, for the terminal and the panel alike."""

from __future__ import annotations

from collections.abc import Iterable

RULES = {
    "cost_plateau": "this program's own rule: the next batch costs more than it is expected to "
    "bring",
    "certificate": "the last rounds cost more than all that changed in them can have brought",
    "kappa": "the student's answers on the stop set have agreed with one another for some rounds",
    "classification_change": "no answer of the student on the stop set changed in a round",
    "overall_uncertainty": "the student is sure of nearly all texts of the stop set",
    "delta_f": "by what changed, the student's F1 can hardly have moved for some rounds",
    "accuracy_plateau": "the student's accuracy in the audits has stopped to rise",
    "marginal_gain": "what accuracy in the audits gained is worth less than it cost",
    "fixed_labels": "a number of labels that is set beforehand",
    "fixed_budget": "an amount of money that is set beforehand",
    "to_the_end": "never: the run goes on to its caps",
}
"""What ends a run by each of `labelwright.tools.stop_rules.STOP_RULES`."""

NO_GATES = (
    "Gates are left out: they may have held the run's own rule back, for enough labels of each "
    "class or another reason, so the rule may stand here at an earlier round than the run ended at."
)
"""What is to be known of every replay of stop rules."""


def rule_lines(shown: Iterable[str]) -> list[str]:
    """A line for each rule that is shown: when it would end a run."""
    return [f"{name}: {RULES[name]}." for name in dict.fromkeys(shown) if name in RULES]
