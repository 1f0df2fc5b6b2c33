"""From votes to one label: majority, audited one-coin posterior, redundancy, CROWDLAB."""

from .audited import effective_weights, one_coin, redundancy, reliability
from .unaudited import Crowd, crowdlab
from .votes import NO_VOTE, majority

__all__ = [
    "NO_VOTE",
    "Crowd",
    "crowdlab",
    "effective_weights",
    "majority",
    "one_coin",
    "redundancy",
    "reliability",
]
