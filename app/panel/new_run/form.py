"""The draft that a page is about, and where in it the reader is."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any, NoReturn

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from ..plain import escaped
from .checks import Faults
from .draft import Draft

DRAFT = "draft"
STEP = "step"
"""Parameters of the page's address."""


@dataclass
class Form:
    """A draft while one page shows it; the steps change ``config`` in place.

    Attributes:
        config: The configuration as plain values.
        saved: As it is on disk, to write only what has changed.
        places: Where what is wrong with a field is told.
    """

    draft: Draft
    config: dict[str, Any]
    saved: str = ""
    version: int = field(init=False)
    places: dict[str, DeltaGenerator] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.version = st.session_state.setdefault(self._counter, 0)

    @property
    def _counter(self) -> str:
        return f"new_version_{self.draft.name}"

    def key(self, name: str) -> str:
        """Key of a widget; another one where the draft was changed by more than its widgets."""
        return f"new_{self.draft.name}_{self.version}_{name}"

    def place(self, field: str) -> None:
        """Have what is wrong with a field told here."""
        self.places[field] = st.container()

    def tell(self, faults: Faults) -> None:
        """Tell what is wrong, each at its field."""
        for name, found in faults.items():
            with self.places.get(name, nullcontext()):
                for fault in found:
                    st.error(escaped(fault, 600))

    def save(self) -> None:
        """Write the draft if it has changed."""
        from .draft import written

        text = written(self.config)
        if text != self.saved:
            self.draft.save(self.config)
            self.saved = text

    def show_anew(self) -> NoReturn:
        """Save, and show all widgets with the values of the draft."""
        self.save()
        st.session_state[self._counter] = self.version + 1
        st.rerun()


def go(step: str, draft: Draft) -> NoReturn:
    """Show another step."""
    st.query_params.from_dict({DRAFT: draft.name, STEP: step})
    st.rerun()


def optional(section: dict[str, Any], name: str, value: Any, default: Any = None) -> None:
    """Set an option; one that was left out stays so where the default says the same."""
    if value in ("", None):
        section.pop(name, None)
    elif name in section or value != default:
        section[name] = value


Step = Callable[[Form], None]
