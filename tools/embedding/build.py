"""From configuration to embedder."""

from __future__ import annotations

from pathlib import Path

from .config import EmbedderConfig
from .encoder import MiniLMEmbedder
from .protocols import Charge, Embedder
from .remote import RemoteEmbedder
from .static import StaticEmbedder, default_cache_dir


def build_embedder(
    config: EmbedderConfig, *, cache_dir: Path | None = None, charge: Charge | None = None
) -> Embedder:
    """Make the configured embedder; models are loaded when the first text is embedded.

    Args:
        config: what to make.
        cache_dir: where `static` keeps its table; none: the user's cache folder.
        charge: reserves and settles the money of each request of kind `openai`; required unless
            its price is `free`.

    Raises:
        ConfigError: a paid endpoint without `charge`, or without its key in the environment.
    """
    if config.kind == "minilm":
        return MiniLMEmbedder()
    if config.kind == "static":
        return StaticEmbedder(cache_dir or default_cache_dir())
    return RemoteEmbedder(config, charge=charge)
