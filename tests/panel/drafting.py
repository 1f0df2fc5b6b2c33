"""Drafts of a new run, and the page that shows them, for its tests."""

import io
from typing import Any

from streamlit.testing.v1 import AppTest

from labelwright.app.panel.new_run import draft as drafts
from labelwright.app.panel.new_run.draft import Draft

MARKUP = "<img src=x onerror=alert(1)> **bold** $x$ :material/home: [a](http://x.example)"
CSV = (
    "id,text,gold\n1,late parcel,delivery\n2,refund please,billing\n3,late parcel,delivery\n"
    "4,where is it,delivery\n5,,billing\n"
)


def script() -> None:
    from labelwright.app.panel.new_run.page import page

    page()


def opened(at_draft: Draft | None = None, step: str = "data", **params: str) -> AppTest:
    at = AppTest.from_function(script, default_timeout=20)
    if at_draft is not None:
        params |= {"draft": at_draft.name, "step": step}
    for name, value in params.items():
        at.query_params[name] = value
    return at.run()


def made(content: str = CSV, name: str = "messages.csv", **sections: Any) -> Draft:
    draft = drafts.new_draft(drafts.blank())
    path = draft.keep(name, io.BytesIO(content.encode()))
    draft.save({**drafts.from_data(path), **sections})
    return draft


def widget(at: AppTest, kind: str, name: str) -> Any:
    """A widget of the first draft's form by the end of its key."""
    return next(w for w in getattr(at, kind) if w.key and w.key.endswith(f"_{name}"))


def said(at: AppTest) -> str:
    words = [e.value for kind in ("error", "warning", "info") for e in getattr(at, kind)]
    return "\n".join([*words, *(block.proto.body for block in at.get("html"))])


def words(at: AppTest) -> str:
    """What stands in running text and in messages, without the escapes of Markdown."""
    kinds = ("markdown", "caption", "error", "warning", "info")
    return "\n".join(e.value for kind in kinds for e in getattr(at, kind)).replace("\\", "")
