"""From votes to one label: weighed by audits, and the methods that need none."""

from .audited import effective_weights, one_coin, redundancy, reliability, vote_strength
from .confusion import Confusions, confusion_posterior, fit_confusions
from .unaudited import Crowd, crowd_posterior, crowdlab
from .votes import NO_VOTE, majority, tally
from .weighted import Evidence, Weights, evidence, fit_weights, weighted_posterior

__all__ = [
    "NO_VOTE",
    "Confusions",
    "Crowd",
    "Evidence",
    "Weights",
    "confusion_posterior",
    "crowd_posterior",
    "crowdlab",
    "effective_weights",
    "evidence",
    "fit_confusions",
    "fit_weights",
    "majority",
    "one_coin",
    "redundancy",
    "reliability",
    "tally",
    "vote_strength",
    "weighted_posterior",
]
