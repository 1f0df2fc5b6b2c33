"""A run's folder, opened by the one process that may run it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from ..tools.embedding import build_embedder
from ..tools.errors import ConfigError
from ..tools.ledger import Ledger
from ..tools.locking import hold
from ..tools.pool import Pool
from ..tools.prompts import PromptLibrary, packaged_prompts
from ..tools.rows import Rows
from ..tools.snapshot import stored_dim
from .config import RunConfig, dump_config, load_config, with_cap
from .context import Notify, RunContext
from .directives import STOP, amount, caps_ordered
from .embedding_costs import charge_to
from .events import EventLog
from .inputs import check_data, check_recorded

CONFIG_FILE = "run.yaml"
LEDGER_FILE = "ledger.sqlite"
LOCK_FILE = "run.lock"
CHECKPOINT_FILE = "checkpoints.sqlite"
PROMPT_FOLDER = "prompts"
ROWS_FILE = "rows.sqlite"


def create_run(config: RunConfig, folder: Path) -> None:
    """Make a run's folder: the resolved configuration, and the prompts that it is pinned to.

    Raises:
        ConfigError: The folder holds a run already, or an endpoint's key is missing.
        LockedError: Another process makes a run of this name at this moment.
        DataError: The data or recorded votes can not be read as configured.
    """
    _refuse_taken(folder)
    check_keys(config)
    # The folder pins the configuration, so what is wrong with it could not be mended there.
    check_data(config)
    check_recorded(config)
    folders = [config.prompts] if config.prompts else []
    library = PromptLibrary([*folders, packaged_prompts()])
    problems = library.check()
    if problems:
        raise ConfigError("prompts: " + "\n".join(problems))
    # Of two that begin a run of one name at once, the second finds the first one's.
    with hold(folder / LOCK_FILE, f"the run {folder.name!r}"):
        _refuse_taken(folder)
        hashes = library.snapshot(folder / PROMPT_FOLDER)
        lines = "".join(f"#   {name}: {digest}\n" for name, digest in sorted(hashes.items()))
        # Last: a folder with a configuration is a run.
        partial = folder / f"{CONFIG_FILE}.partial"
        partial.write_text(
            f"{dump_config(config)}# Prompts that this run is pinned to (SHA-256):\n{lines}",
            encoding="utf-8",
        )
        partial.replace(folder / CONFIG_FILE)


def _refuse_taken(folder: Path) -> None:
    if (folder / CONFIG_FILE).exists():
        raise ConfigError(
            f"{folder}: holds a run already; resume it, or choose another name for the new one."
        )


def check_keys(config: RunConfig) -> None:
    """See that every endpoint finds its key, before a text is read or a request paid.

    Raises:
        ConfigError: Names who needs a key and the variable that is not set, all of them at once.
    """
    missing = []
    for who, endpoint in config.endpoints():
        try:
            endpoint.key()
        except ConfigError as error:
            missing.append(f"{who}: {error}")
    if missing:
        raise ConfigError("\n".join(missing))


@contextmanager
def open_run(
    folder: Path,
    *,
    notify: Notify,
    stopping: Callable[[], bool],
    usd: float | None = None,
    events: EventLog | None = None,
) -> Iterator[RunContext]:
    """Take a run up: lock it, settle what a crash left open, open pool and ledger.

    Args:
        folder: The run's folder.
        notify: Called with events for people.
        stopping: Whether the run has been asked to stop.
        usd: A new money cap, in USD, from now on.
        events: Where the process reports that it has taken the run up, and how it ends.

    Raises:
        LockedError: Another process runs it.
        ConfigError: It is not a run's folder, or the new cap is none.
        PoolError: The pool was made by another embedder.
    """
    config = load_config(folder / CONFIG_FILE)
    with ExitStack() as stack:
        stack.enter_context(hold(folder / LOCK_FILE, f"the run {folder.name!r}"))
        if events is not None:
            # Inside the lock: whoever finds it free finds the last word as well.
            stack.enter_context(events.process())
        ledger = stack.enter_context(Ledger(folder / LEDGER_FILE))
        _retire_stops(ledger)
        config, opened_at = _with_cap(config, ledger, usd)
        ledger.caps = config.budget.caps()
        ledger.recover()
        embedder = build_embedder(config.embedder, charge=charge_to(ledger, config.embedder))
        dim = stored_dim(folder / "pool")
        if dim is None and config.embedder.kind == "openai" and not config.embedder.dimensions:
            # A server's vectors have a length that only an answer tells.
            embedder.embed([config.task.name])
        pool = stack.enter_context(
            Pool.open(
                config.pool,
                folder / "pool",
                fingerprint=embedder.fingerprint,
                dim=dim or embedder.dim,
            )
        )
        rows = stack.enter_context(Rows(folder / "pool" / ROWS_FILE))
        context = RunContext(
            config=config,
            folder=folder,
            ledger=ledger,
            pool=pool,
            rows=rows,
            embedder=embedder,
            # A run that an earlier version began lacks the prompts that are new since then.
            prompts=PromptLibrary([folder / PROMPT_FOLDER, packaged_prompts()]),
            notify=notify,
            stopping=stopping,
            opened_at=opened_at,
        )
        stack.callback(context.close)
        yield context


def _retire_stops(ledger: Ledger) -> None:
    """Lay down the stops that came when nobody ran the run; those from now on are meant for us."""
    for directive in ledger.log.directives(STOP, pending=True):
        ledger.log.acknowledge(directive.seq, "the run had ended by itself")


def _with_cap(config: RunConfig, ledger: Ledger, usd: float | None) -> tuple[RunConfig, int]:
    """The configuration under the cap that was ordered last, and the last order that it heeds."""
    orders = ledger.log.directives()
    last = orders[-1].seq if orders else 0
    caps = [amount(order.payload, "usd") for order in caps_ordered(ledger) if order.seq <= last]
    cap = caps[-1] if caps else None
    if usd is not None:
        was = config.budget.usd if cap is None else cap
        config = with_cap(config, usd)
        # It is acknowledged once it is known what it changes.
        return config, ledger.log.direct("cap", {"usd": usd, "was": was})
    return (config if cap is None else with_cap(config, cap)), last
