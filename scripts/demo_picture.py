"""Draw docs/demo.svg, the picture of the README, from the summary of a finished demo run.

labelwright demo --runs RUNS && python scripts/demo_picture.py RUNS/demo
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from labelwright.tools.report import figures, last_check, percent, usd

TARGET = Path(__file__).resolve().parent.parent / "docs" / "demo.svg"

_PAGE = """\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 920 366" role="img" aria-label="{title}">
<style>
svg {{ --paper: #fcfcfa; --ink: #20242a; --soft: #5b636e; --grid: #ecece8;
      --one: #2765a8; --two: #a8530f; --three: #7d8590; }}
@media (prefers-color-scheme: dark) {{
  svg {{ --paper: #15181c; --ink: #e3e6ea; --soft: #9da6b1; --grid: #272c33;
        --one: #7fb2ec; --two: #e79a58; --three: #7b8490; }}
}}
text {{ font: 12px system-ui, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; fill: var(--soft); }}
text.head {{ font-size: 17px; font-weight: 650; fill: var(--ink); }}
text.name {{ font-size: 14px; font-weight: 650; fill: var(--ink); }}
.word {{ fill: var(--ink); }} .paper {{ fill: var(--paper); }}
.grid {{ stroke: var(--grid); fill: none; }} .tick {{ stroke: var(--three); fill: none; }}
.line {{ fill: none; stroke-width: 2; stroke-linejoin: round; }}
.dashed {{ stroke-dasharray: 5 4; }}
.line.one {{ stroke: var(--one); }} .line.two {{ stroke: var(--two); }}
.dot.one {{ fill: var(--one); }} .dot.two, .band.two {{ fill: var(--two); }}
.band {{ fill-opacity: .16; }} .bar {{ fill: var(--three); }}
.mark {{ stroke: var(--ink); stroke-dasharray: 2 3; fill: none; }}
</style>
<rect class="paper" width="920" height="366" rx="8"/>
<text class="head" x="24" y="32">{title}</text>
<text x="24" y="52">{subtitle}</text>
<text class="name" x="28" y="82">What the student has learnt</text>
<g transform="translate(24 92)">{learning}</g>
<text class="name" x="480" y="82">What the last three rounds cost, and were worth</text>
<g transform="translate(476 92)">{evidence}</g>
{legend}
</svg>
"""


def picture(summary: Mapping[str, Any]) -> str:
    """The picture of a finished run, without a reference to anything outside it.

    Raises:
        ValueError: The run has no curve or no stop evidence.
    """
    curve, stop = summary["curve"], last_check(summary)
    learning = figures.learning_curve(curve, stop)
    evidence = figures.stop_evidence(curve, stop)
    if learning is None or evidence is None:
        raise ValueError("the run has too few rounds to be drawn; expected a finished demo")
    labels, money = summary["labels"], summary["money"]
    gold = summary["quality"]["gold"]
    return _PAGE.format(
        title=f"labelwright demo: {labels['texts']} messages, 8 classes, {usd(money['spent_usd'])}",
        subtitle=f"{labels['accepted']} labelled, {percent(gold['accuracy']['estimate'])} of them "
        f"right; {labels['by_source']['person']} are the reviewer's, read off the corpus. "
        f"{labels['set_apart']} set apart. No language model took part.",
        learning=_sized(str(learning)),
        evidence=_sized(str(evidence)),
        legend="".join(
            (
                _key(28, "line one", "agreement with its labels, out of sample"),
                _key(310, "line two", "audited, 95 % interval"),
                _key(480, "bar", "cost"),
                _key(548, "line one", "expected gain"),
                _key(668, "line two dashed", "the most it can have been"),
            )
        ),
    )


def _sized(chart: str) -> str:
    size = f'<svg width="{figures.WIDTH}" height="{figures.HEIGHT}" '
    return chart.replace("<svg ", size, 1)


def _key(x: int, css: str, text: str) -> str:
    sign = (
        f'<rect class="bar" x="{x}" y="349" width="18" height="5"/>'
        if css == "bar"
        else f'<path class="{css}" d="M{x} 351.5h18"/>'
    )
    return f'{sign}<text x="{x + 24}" y="356">{text}</text>\n'


def main() -> int:
    """Draw the run that is named on the command line."""
    summary = json.loads((Path(sys.argv[1]) / "summary.json").read_text(encoding="utf-8"))
    TARGET.write_text(picture(summary), encoding="utf-8", newline="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
