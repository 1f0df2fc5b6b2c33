"""Who may use the panel: this machine, holders of a token, or whom Streamlit's login lets in."""

from __future__ import annotations

import ipaddress
import os
from dataclasses import dataclass

import streamlit as st

from ...tools.errors import ConfigError
from .plain import escaped

SHORTEST_TOKEN = 16
USERS_SECTION = "labelwright"
_LOCAL_NAMES = frozenset(("localhost", "127.0.0.1", "::1"))


@dataclass(frozen=True)
class Access:
    """How a panel is guarded.

    Attributes:
        hosts: Names by which it may be called, in lower case; ``None`` where what a caller shows
            (token or login) belongs to the name anyway.
        token: What a caller must know, or ``None``.
        login: Whether Streamlit's own login is asked for.
    """

    hosts: frozenset[str] | None
    token: str | None = None
    login: bool = False

    def __repr__(self) -> str:
        known = "set" if self.token else "none"
        return f"Access(hosts={self.hosts}, token={known}, login={self.login})"


def access_to(address: str, token_env: str | None) -> Access:
    """How a panel at an address is guarded.

    Args:
        address: Where it listens.
        token_env: Environment variable that holds the token. It is removed from the environment,
            so that no process that the panel starts inherits it.

    Raises:
        ConfigError: The token is missing or too short, or the address is open to others and there
            is neither a token nor a login.
    """
    if token_env is not None:
        return Access(None, _token(token_env), login_is_set_up())
    if login_is_set_up():
        return Access(None, login=True)
    if is_local(address):
        return Access(_LOCAL_NAMES | {address.lower()})
    raise ConfigError(
        f"--address {address}: others could reach the panel there, and with it your money and your "
        "texts. Put a token of 16 characters or more into an environment variable and name it with "
        "--token-env NAME, or set up Streamlit's login ([auth] in .streamlit/secrets.toml)."
    )


def is_local(address: str) -> bool:
    """Whether only this machine can reach an address."""
    if address.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


def login_is_set_up() -> bool:
    """Whether Streamlit's login is configured.

    Raises:
        ConfigError: It is, and what it needs is not installed.
    """
    from streamlit.auth_util import is_authlib_installed

    if not st.secrets.load_if_toml_exists() or "auth" not in st.secrets:
        return False
    if not is_authlib_installed():
        raise ConfigError(
            "[auth] in secrets.toml asks for Streamlit's login, which needs another package: "
            "pip install 'streamlit[auth]'."
        )
    return True


def require_login() -> None:
    """Stop the page unless its reader is logged in, where a login is set up.

    ``users`` in the section ``[labelwright]`` of secrets.toml lists the mail addresses that may
    come in; without it, whoever the provider of the login lets in.
    """
    if not st.secrets.load_if_toml_exists() or "auth" not in st.secrets:
        return
    if not st.user.get("is_logged_in"):
        st.title("labelwright")
        st.write("Log in to see the runs.")
        st.button("Log in", key="access_login", type="primary", on_click=st.login)
        st.stop()
    section = st.secrets.get(USERS_SECTION, {})
    if "users" not in section:
        return
    mail = str(st.user.get("email") or "").casefold()
    verified = st.user.get("email_verified") is not False
    if not (verified and mail in {str(user).casefold() for user in section["users"]}):
        st.title("labelwright")
        st.error(f"{escaped(mail) or 'This account'} may not use this panel.")
        st.button("Log out", key="access_logout", on_click=st.logout)
        st.stop()


def _token(variable: str) -> str:
    token = os.environ.pop(variable, "")
    if not token:
        raise ConfigError(
            f"--token-env {variable}: the environment variable {variable} is not set; put a token "
            f"of {SHORTEST_TOKEN} characters or more into it."
        )
    if len(token) < SHORTEST_TOKEN:
        raise ConfigError(
            f"--token-env {variable}: the token in {variable} has {len(token)} characters; "
            f"expected {SHORTEST_TOKEN} or more, such as `openssl rand -hex 16` prints."
        )
    return token
