"""`labelwright plan`: the quote, before anything is sent."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from ..console import print_json, stdout
from ..options import Config, Json

if TYPE_CHECKING:
    from rich.console import Console

    from ...graph import Quote
    from ...graph.config import RunConfig


def plan(config: Config, json: Json = False) -> None:
    """Quote a run: requests, tokens, money, questions to you, a prompt, and the alternatives.

    Reads the data and the templates; sends nothing.
    """
    from ...graph import load_config
    from ...graph import plan as quote_for

    loaded = load_config(config)
    quote = quote_for(loaded)
    if json:
        print_json(as_plain(quote))
    else:
        show(stdout(), quote, loaded)


def as_plain(quote: Quote) -> dict[str, Any]:
    """A quote as plain values, money in USD."""
    from ...tools.money import to_usd

    plain = asdict(quote)
    for line in plain["lines"]:
        line["usd"] = [to_usd(end) for end in line.pop("money")]
    for alternative in plain["alternatives"]:
        nano = alternative.pop("money")
        alternative["usd"] = None if nano is None else to_usd(nano)
    if (chat := plain["chat"]) is not None:
        chat["usd"], chat["most_usd"] = to_usd(chat.pop("money")), to_usd(chat.pop("most"))
    for name in ("low", "high", "uncut", "cap"):
        plain[f"{name}_usd"] = to_usd(plain.pop(name))
    plain["value"] = {
        "usd": to_usd(quote.value.nano),
        "explanation": quote.value.explanation,
    }
    return plain


def show(console: Console, quote: Quote, config: RunConfig) -> None:
    """Print a quote for people."""
    from rich.rule import Rule
    from rich.table import Table

    from ...tools.money import show as usd
    from ...tools.money import to_nano
    from ..intake import gold_warning, rejected_lines
    from ..quoted import ENDS, remarks

    rejected = f", {quote.rejected:,} rows can not be used" if quote.rejected else ""
    least, most = quote.rounds
    console.print(f"{config.task.name}: {quote.texts:,} different texts{rejected}", style="bold")
    for reason in rejected_lines(quote.rejected, quote.reasons):
        console.print(reason, soft_wrap=True, markup=False)
    for warning in (gold_warning(quote.unknown_gold), quote.thin):
        if warning:
            console.print(f"Note: {warning}", soft_wrap=True, markup=False)
    console.print(f"{_ends(least, most)} rounds of {quote.batch:,} texts\n")

    table = Table(title="Estimated cost", title_justify="left")
    table.add_column("Position")
    for name in ("Requests", "Tokens in", "Tokens out", "Money"):
        table.add_column(name, justify="right")
    for line in quote.lines:
        table.add_row(
            line.what,
            _ends(*line.requests),
            f"{line.tokens_in:,}",
            f"{line.tokens_out:,}",
            _range(usd(line.money[0]), usd(line.money[1])),
        )
    total = _range(usd(quote.low), usd(quote.high))
    table.add_section()
    table.add_row("Total, cut at the cap", "", "", "", total, style="bold")
    console.print(table)
    cut = f"; uncut, the high end would be {usd(quote.uncut)}" if quote.uncut > quote.cap else ""
    console.print(f"Total {total} of the cap of {usd(quote.cap)}{cut}.")
    console.print(
        f"Value of accuracy: {usd(quote.value.nano)} from 0 to 1, "
        f"{usd(quote.value.nano // 100)} a point ({quote.value.explanation})."
    )
    console.print(f"{ENDS} Tokens are in the middle of the range.", style="dim")
    for remark in remarks(as_plain(quote), "{:,}".format, lambda amount: usd(to_nano(amount))):
        console.print(remark, soft_wrap=True, markup=False)
    console.print()
    console.print(Rule("Prompt example"))
    if quote.prompt is None:
        console.print("No chat model is configured, so nobody reads a prompt.")
    for message in quote.prompt or []:
        console.print(f"[{message.role}]", style="bold")
        console.print(message.content, soft_wrap=True)
    console.print()

    others = Table(title="What else the money could buy", title_justify="left")
    others.add_column("Alternative")
    others.add_column("Money", justify="right")
    others.add_column("What it is")
    for alternative in quote.alternatives:
        price = "no price" if alternative.money is None else usd(alternative.money)
        others.add_row(alternative.name, price, alternative.note)
    console.print(others)


def _ends(low: int, high: int) -> str:
    return _range(f"{low:,}", f"{high:,}")


def _range(low: str, high: str) -> str:
    return low if low == high else f"{low} to {high}"
