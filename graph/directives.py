"""What the operator orders of a run that is going, or is about to: heard, checked and taken once.

`stop` and `cap` take effect as they come. The others are taken by the node that they concern, which
writes them down under its step before it acts, so that a step that runs again after a crash finds
the same orders. A directive that makes no sense is answered with what is wrong, and does nothing.
"""

from __future__ import annotations

import math
import signal
import threading
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from langgraph.runtime import RunControl

from ..tools.ledger import Decision, Directive, Ledger
from ..tools.money import show, to_nano
from .config import with_cap

if TYPE_CHECKING:
    from .context import RunContext
    from .state import RunState

STOP, CAP, FINISH, FOCUS, VALUE = "stop", "cap", "finish", "focus", "value"
HAND_IN = "hand_in"
ORDERS = "orders"
"""Kind of the decision that holds what a step has taken."""
OPERATOR = "operator"
"""Agent of decisions that are a person's, and reason of a stop that one has ordered."""
MOST_ROUNDS = 100
_MOST_USD = 1e9
_POLL_S = 0.3


def amount(payload: Any, field: str, most: float = math.inf) -> float | None:
    """An amount of USD in a payload; ``None`` where there is none that makes sense."""
    found = payload.get(field) if isinstance(payload, dict) else None
    if isinstance(found, bool) or not isinstance(found, int | float):
        return None
    return float(found) if math.isfinite(found) and 0 <= found <= most else None


def caps_ordered(ledger: Ledger, *, pending: bool = False) -> list[Directive]:
    """Orders of a new money cap that can be used, oldest first."""
    orders = ledger.log.directives(CAP, pending=pending)
    return [order for order in orders if amount(order.payload, "usd") is not None]


def taken(ctx: RunContext, kind: str) -> list[dict[str, Any]]:
    """Orders of a kind that this step or an earlier one has taken, oldest first.

    Returns:
        ``{"seq", "kind", "payload", "round"}`` of each.
    """
    return [
        {**order, "round": made.round}
        for made in ctx.ledger.log.decisions(ORDERS)
        if ctx.step is None or made.step <= ctx.step
        for order in made.decision["taken"]
        if order["kind"] == kind
    ]


def take(ctx: RunContext, state: RunState, round_: int, *kinds: str) -> dict[str, Any]:
    """Take what is ordered of a step, before it does anything else.

    Args:
        ctx: The run.
        state: Of the graph.
        round_: The round that the orders are for.
        kinds: Which ones concern the step.

    Returns:
        The payload of the last order of each kind that was given; an order replaces those of its
        kind before it.
    """
    log, step = ctx.ledger.log, state["step"]
    made = log.decided_at(step)
    found = [order for one in made if one.kind == ORDERS for order in one.decision["taken"]]
    if not found and not fresh(made):
        return {}
    if not found:
        waiting = [d for kind in kinds for d in log.directives(kind, pending=True)]
        found = [
            {"seq": order.seq, "kind": order.kind, "payload": order.payload}
            for order in sorted(waiting, key=lambda one: one.seq)
            if not _refused(ctx, order)
        ]
        if not found:
            return {}
        log.decide(Decision(step, round_, OPERATOR, ORDERS, {"taken": found}, None))
    last = {order["kind"]: order for order in found}
    for order in found:
        note = _effect(state, round_, order["kind"], order["payload"])
        replaced = last[order["kind"]]["seq"] != order["seq"]
        log.acknowledge(order["seq"], "replaced by a later order" if replaced else note)
    return {kind: order["payload"] for kind, order in last.items()}


def fresh(made: Sequence[Decision]) -> bool:
    """Whether a step runs for the first time, by what it has decided: then orders may be taken.

    One that has decided something else already had none when it did.
    """
    return all(one.agent == OPERATOR for one in made)


def turn_away(ctx: RunContext, why: str, kinds: Collection[str]) -> None:
    """Acknowledge pending orders that come too late."""
    for order in ctx.ledger.log.directives(pending=True):
        if order.kind in kinds:
            ctx.ledger.log.acknowledge(order.seq, why)


def ending(ctx: RunContext) -> bool:
    """Whether an order to end the run waits."""
    return bool(ctx.ledger.log.directives(FINISH, pending=True))


def acknowledge_caps(ctx: RunContext, caps: Sequence[Directive], note: str) -> None:
    """Answer orders of a cap that were taken up when the run was opened."""
    for order in caps:
        usd = amount(order.payload, "usd")
        said = _no_cap(order) if usd is None else f"the cap is ${usd:g}{note}"
        ctx.ledger.log.acknowledge(order.seq, said)


def _no_cap(order: Directive) -> str:
    return f"refused: expected {{usd: an amount of 0 or more}}, found {_shown(order.payload)}"


def _shown(payload: Any) -> str:
    return repr(payload)[:200]


def _refused(ctx: RunContext, order: Directive) -> bool:
    """Whether an order makes no sense; it is told so."""
    why = None
    if order.kind == VALUE and amount(order.payload, "point_usd", _MOST_USD) is None:
        why = f"expected {{point_usd: an amount of 0 or more}}, found {_shown(order.payload)}"
    if order.kind == FOCUS:
        why = _wrong_focus(ctx, order.payload)
    if why is not None:
        ctx.ledger.log.acknowledge(order.seq, f"refused: {why}")
    return why is not None


def _wrong_focus(ctx: RunContext, payload: Any) -> str | None:
    labels = payload.get("labels") if isinstance(payload, dict) else None
    rounds = payload.get("rounds") if isinstance(payload, dict) else None
    if not isinstance(labels, list) or not labels:
        return f"expected {{labels: [...], rounds: n}}, found {_shown(payload)}"
    unknown = [label for label in labels if label not in ctx.labels]
    if unknown:
        return f"no such label: {_shown(unknown)[1:-1]}; the labels are {', '.join(ctx.labels)}"
    if isinstance(rounds, bool) or not isinstance(rounds, int) or not 1 <= rounds <= MOST_ROUNDS:
        return f"rounds: expected a whole number from 1 to {MOST_ROUNDS}, found {_shown(rounds)}"
    return None


def _effect(state: RunState, round_: int, kind: str, payload: Any) -> str:
    if kind == VALUE:
        return f"from round {round_} on a point of accuracy is worth ${payload['point_usd']:g}"
    if kind == FOCUS:
        last = round_ + payload["rounds"] - 1
        when = f"the batch of round {round_} searches"
        if last > round_:
            when = f"batches of rounds {round_} to {last} search"
        return f"{when} for {', '.join(payload['labels'])}"
    if state["phase"] in {"loop", "audit"}:
        return "the run ends here: it is delivered with what there is"
    return "nothing more is bought: the run is delivered with what there is"


@contextmanager
def listening(ctx: RunContext, control: RunControl) -> Iterator[None]:
    """Hear stops, caps and signals while the run is going.

    Stops and signals become a drain at the next safe point, a cap holds at once.
    """
    done = threading.Event()

    def look() -> None:
        for directive in ctx.ledger.log.directives(pending=True):
            if directive.kind == STOP:
                control.request_drain(OPERATOR)
                ctx.ledger.log.acknowledge(directive.seq, "pausing at the next safe point")
            # Earlier ones are in the configuration already, and decide whether the run goes on.
            elif directive.kind == CAP and directive.seq > ctx.opened_at:
                _set_cap(ctx, directive)

    def poll() -> None:
        while not done.wait(_POLL_S):
            look()

    # A stop may have come while the run was being opened.
    look()
    thread = threading.Thread(target=poll, name="directives", daemon=True)
    thread.start()
    previous: dict[int, Any] = {}

    def drain(number: int, _: Any) -> None:
        control.request_drain("signal")
        # Who asks twice wants out at once, and gets what the signal does without us.
        signal.signal(number, previous[number])

    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM):
            previous[number] = signal.signal(number, drain)
    try:
        yield
    finally:
        for caught, handler in previous.items():
            signal.signal(caught, handler)
        done.set()
        thread.join()


def _set_cap(ctx: RunContext, order: Directive) -> None:
    """Let a new cap hold from now on; both attributes are replaced whole."""
    usd = amount(order.payload, "usd")
    if usd is None:
        ctx.ledger.log.acknowledge(order.seq, _no_cap(order))
        return
    ctx.config = with_cap(ctx.config, usd)
    ctx.ledger.caps = ctx.config.budget.caps()
    used = ctx.ledger.balance().committed
    less = ""
    if used >= to_nano(usd):
        less = f"; {show(used)} is spent or reserved, so nothing more is sent"
    ctx.ledger.log.acknowledge(order.seq, f"the cap is ${usd:g}{less}")
    ctx.notify({"event": "cap", "usd": usd})
