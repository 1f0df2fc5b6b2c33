"""Words of reviewers on the items of a run, and what the run has made of them."""

from labelwright.tools.ledger import Ledger
from labelwright.tools.reviews import REVIEW, Review


def say(folder, *reviews, example=False):
    """Write reviews: (item, reviewer, verdict, label)."""
    with Ledger(folder / "ledger.sqlite") as ledger:
        for item, reviewer, verdict, label in reviews:
            review = Review(0, item, reviewer, verdict, label, example=example)
            ledger.log.direct(REVIEW, review.payload())


def notes(folder):
    with Ledger(folder / "ledger.sqlite") as ledger:
        return [order.acknowledged for order in ledger.log.directives(REVIEW)]


def decided(folder, kind):
    with Ledger(folder / "ledger.sqlite") as ledger:
        return ledger.log.decisions(kind)


def other(corpus, item):
    return next(label for label in corpus.labels if label != corpus.gold[item])


def rows(outcome, folder):
    return {row["id"]: row for row in outcome(folder).labels}
