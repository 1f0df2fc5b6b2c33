"""Texts to unit vectors: the packaged encoder, a fast table made from it, or an endpoint."""

from .build import build_embedder
from .config import EmbedderConfig
from .protocols import Charge, Embedder
from .request import RequestFailed
from .wordpiece import wordpiece_counts

__all__ = [
    "Charge",
    "Embedder",
    "EmbedderConfig",
    "RequestFailed",
    "build_embedder",
    "wordpiece_counts",
]
