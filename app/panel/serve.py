"""The panel's server: Streamlit in this process, set up without a configuration file."""

from __future__ import annotations

import contextlib
import importlib
import os
import socket
import threading
import webbrowser
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import streamlit as st

from ...tools.errors import ConfigError
from . import theme
from .access import Access
from .gate import Gate
from .session import RUNS_VARIABLE
from .shell import PAGES
from .trouble import tell

MAIN = Path(__file__).parent / "main.py"
UPLOAD_MB = 200
_EVERYWHERE = frozenset(("0.0.0.0", "::"))
_SETTINGS = {
    "browser.gatherUsageStats": False,
    "client.disableDataExport": True,  # its CSV does not escape what spreadsheets take for formulas
    "client.showErrorDetails": "none",
    "client.showErrorLinks": "false",
    "client.toolbarMode": "minimal",
    "client.allowedOrigins": [],
    "logger.enableRich": False,
    "logger.hideWelcomeMessage": True,
    "logger.level": "error",
    "runner.magicEnabled": False,
    # A whole collection after each refresh costs more than the refresh; Python collects anyway.
    "runner.postScriptGC": False,
    "server.enableAgentApi": False,
    "server.enableCORS": True,
    "server.enableStaticServing": False,
    "server.enableXsrfProtection": True,
    "server.fileWatcherType": "none",
    "server.headless": True,
    "server.maxUploadSize": UPLOAD_MB,
    "server.runOnSave": False,
}


def configure(address: str, port: int) -> dict[str, Any]:
    """Set Streamlit up, before anything else asks for its settings.

    Args:
        address: Where the panel is to listen.
        port: Where it is to listen; 0 takes a free port.

    Returns:
        The settings, for `serve`.

    Raises:
        ConfigError: It can not listen there.
    """
    from streamlit.web import bootstrap

    where = {"server.address": address, "server.port": _free_port(address, port)}
    settings = {**_SETTINGS, **theme.OPTIONS, **where}
    bootstrap.load_config_options(settings)
    return settings


def serve(
    runs: Path, settings: dict[str, Any], access: Access, ready: Callable[[str], None]
) -> None:
    """Serve the panel until Ctrl-C or SIGTERM; runs that it has started go on.

    Args:
        runs: The folder of all runs.
        settings: What `configure` gave back.
        access: Who may come in.
        ready: Called with the panel's address when it can be opened.
    """
    os.environ[RUNS_VARIABLE] = str(runs.resolve())
    address = settings["server.address"]
    # A wildcard is no address that a browser could open.
    address = "localhost" if address in _EVERYWHERE else address
    host = f"[{address}]" if ":" in address else address
    # A certificate is the one thing that a configuration file of Streamlit's may add.
    scheme = "https" if st.get_option("server.sslCertFile") else "http"
    url = f"{scheme}://{host}:{settings['server.port']}/"

    @contextlib.asynccontextmanager
    async def opened(_: Any) -> AsyncIterator[None]:
        threading.Thread(target=_warm, daemon=True).start()
        ready(url)
        yield

    _Guarded(access, opened).run(config=settings)


class _Guarded(st.App):
    """The panel behind its gate: nothing of Streamlit's sees a request before."""

    def __init__(self, access: Access, lifespan: Any) -> None:
        super().__init__(MAIN, lifespan=lifespan, on_script_error=tell)
        self._gate = Gate(super().__call__, access=access)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self._gate(scope, receive, send)


def _warm() -> None:
    """Import what the first visitor of a page would wait for."""
    for module in ("pandas", *(f"{__package__}.{package}.page" for _, package in PAGES.values())):
        importlib.import_module(module)


def open_browser(url: str) -> None:
    """Show the panel in the reader's browser, if there is one; never waits for it."""
    threading.Thread(target=webbrowser.open, args=(url,), daemon=True).start()


def _free_port(address: str, port: int) -> int:
    """See that the panel can listen there, while an error can still be read."""
    try:
        family, *_, place = socket.getaddrinfo(address, port, type=socket.SOCK_STREAM)[0]
    except (socket.gaierror, UnicodeError):
        raise ConfigError(
            f"--address {address}: no such address; expected one of this machine, such as "
            "127.0.0.1 or 0.0.0.0."
        ) from None
    with socket.socket(family, socket.SOCK_STREAM) as tried:
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            tried.bind(place)
        except OSError as error:
            raise ConfigError(
                f"can not listen on {address}, port {port}: {error.strerror}. Another panel may be "
                "running there; choose another --port, or an --address of this machine."
            ) from None
        return int(tried.getsockname()[1])
