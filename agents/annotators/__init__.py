"""Annotators of every kind behind one protocol."""

from .annotator import Annotator, Asked, Asking, Example, Question
from .build import build_annotator
from .human import HumanAnnotator

__all__ = [
    "Annotator",
    "Asked",
    "Asking",
    "Example",
    "HumanAnnotator",
    "Question",
    "build_annotator",
]
