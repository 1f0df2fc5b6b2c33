"""A run as it goes on: every figure kept up to date by what has come since the last look."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from .agreement import Agreement, Votes
from .balance import Balance, Tally, pool_size
from .corrected import Corrected
from .curve import Curve, Round
from .money import Money, Spending, Spent, money
from .pool_map import PoolMap, Standing, pool_map, standings
from .reader import RunReader
from .stage import Stage, Stages


@dataclass
class Live:
    """The figures of one run, for all who look at it; may be shared by threads.

    What is never asked for is never computed.

    Attributes:
        reader: The run.
    """

    reader: RunReader
    _guard: threading.RLock = field(default_factory=threading.RLock)
    _stages: Stages = field(default_factory=Stages)
    _curve: Curve = field(default_factory=Curve)
    _tally: Tally = field(default_factory=Tally)
    _votes: Votes = field(default_factory=Votes)
    _spending: Spending = field(default_factory=Spending)
    _corrected: Corrected = field(default_factory=Corrected)
    _map: PoolMap | None = None

    def stage(self) -> Stage:
        """What the run is doing."""
        with self._guard:
            return self._stages.refresh(self.reader)

    def money(self) -> Money:
        """The account."""
        return money(self.reader)

    def spending(self) -> list[Spent]:
        """What was spent on what."""
        with self._guard:
            return self._spending.refresh(self.reader)

    def rounds(self) -> tuple[Round, ...]:
        """The closed rounds."""
        with self._guard:
            return self._curve.refresh(self.reader)

    def balance(self) -> Balance:
        """How the labels are spread."""
        with self._guard:
            return self._tally.refresh(self.reader)

    def corrected(self) -> int:
        """How many texts outside of the audits have a label that a person has corrected."""
        with self._guard:
            return self._corrected.refresh(self.reader)

    def agreement(self) -> Agreement:
        """How far annotators agree, and what audits found of them."""
        with self._guard:
            return self._votes.refresh(self.reader)

    def pool_map(self) -> tuple[PoolMap, list[Standing]] | None:
        """The map of the pool with what the run holds of each text on it; ``None`` without."""
        with self._guard:
            if self._map is None or self._map.texts != pool_size(self.reader):
                self._map = pool_map(self.reader)
            if self._map is None:
                return None
            return self._map, standings(self.reader, self._map.ids)
