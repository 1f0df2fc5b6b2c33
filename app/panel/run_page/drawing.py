"""The state machine as a drawing in the page's own colours, with the node that is under way."""

from __future__ import annotations

from html import escape
from urllib.parse import quote

_WIDTH, _HIGH = 76, 30
_ALL = (372, 178)
_BOXES = {
    "ingest": (4, 8, "read"),
    "select": (100, 8, "choose"),
    "annotate": (196, 8, "ask"),
    "critique": (292, 8, "judge"),
    "generate": (148, 66, "write texts"),
    "finish": (4, 124, "finish"),
    "decide": (100, 124, "decide"),
    "train": (196, 124, "train"),
    "ask_human": (292, 124, "people"),
}
"""Left and upper edge and name of each node."""
_WAYS = (
    ("M80 23H97", "100 23 r"),
    ("M176 23H193", "196 23 r"),
    ("M272 19H289", "292 19 r"),
    ("M292 28H275", "272 28 l"),
    ("M160 38L168 62", "169.5 66 d"),
    ("M204 66L212 42", "213.5 38 u"),
    ("M344 38V121", "344 124 d"),
    ("M326 124V41", "326 38 u"),
    ("M296 38L240 121", "238 124 d"),
    ("M196 139H179", "176 139 l"),
    ("M138 124V41", "138 38 u"),
    ("M100 139H83", "80 139 l"),
)
"""Each way as a path, and the tip of its arrow with its direction."""
_SWEEPS = (
    ("M42 124V114Q42 108 48 108H230Q236 108 236 102V41", "236 38 u"),
    ("M42 154V164Q42 170 48 170H226Q232 170 232 164V157", "232 154 u"),
)
"""Ways of the end: votes on the rest of the pool, and the last training."""
_TIPS = {"r": "-5 -3v6", "l": "5 -3v6", "d": "-3 -5h6", "u": "-3 5h6"}


def machine(active: str, title: str) -> str:
    """The drawing as HTML, at most 30 rem wide; nothing in it is untrusted.

    Streamlit keeps SVG out of the page. As a mask it needs no element of its own, and takes the
    page's colour in either theme.

    Args:
        active: The node under way; another name marks none.
        title: What a screen reader says.
    """
    ways = [_ways(_WAYS, ""), _ways(_SWEEPS, ' stroke-dasharray="3 3"')]
    layers = [_layer("currentColor", *ways, *(_box(name) for name in _BOXES if name != active))]
    if active in _BOXES:
        layers.append(_layer("#3d8f86", _box(active, active=True)))
    return (
        f'<div role="img" aria-label="{escape(title)}" style="position:relative;width:100%;'
        f'max-width:30rem;aspect-ratio:{_ALL[0]}/{_ALL[1]}">{"".join(layers)}</div>'
    )


def _layer(colour: str, *parts: str) -> str:
    svg = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_ALL[0]} {_ALL[1]}" fill="none" '
        'stroke="black" font-family="sans-serif" font-size="11.5" text-anchor="middle">'
        f"{''.join(parts)}</svg>"
    )
    mask = f"url('data:image/svg+xml,{quote(svg)}') 0 0/100% 100% no-repeat"
    return (
        f'<div style="position:absolute;inset:0;background:{colour};mask:{mask};'
        f'-webkit-mask:{mask}"></div>'
    )


def _ways(ways: tuple[tuple[str, str], ...], dashes: str) -> str:
    drawn = []
    for path, tip in ways:
        x, y, way = tip.split()
        drawn.append(f'<path d="{path}" opacity=".5"{dashes}/>')
        drawn.append(f'<path d="M{x} {y}l{_TIPS[way]}z" opacity=".65" fill="black" stroke="none"/>')
    return "".join(drawn)


def _box(name: str, *, active: bool = False) -> str:
    x, y, word = _BOXES[name]
    look = 'fill="black" fill-opacity=".2" stroke-width="2"' if active else 'opacity=".6"'
    weight = ' font-weight="700"' if active else ' opacity=".85"'
    return (
        f'<rect x="{x}" y="{y}" width="{_WIDTH}" height="{_HIGH}" rx="5" {look}/>'
        f'<text x="{x + _WIDTH / 2}" y="{y + 19}" fill="black" stroke="none"{weight}>{word}</text>'
    )
