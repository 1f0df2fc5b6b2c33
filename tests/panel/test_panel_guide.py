"""The guide to the panel says what the panel does."""

import re
from pathlib import Path

from labelwright.agents.operator.commands import command_table
from labelwright.app.panel.words import words_table

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "panel.md"


def test_the_guide_has_every_command_that_can_be_said():
    # `pytest` shows the table to paste when a command has changed.
    assert command_table() in GUIDE.read_text(encoding="utf-8")


def test_the_guide_has_every_word_that_the_panel_explains():
    assert words_table() in GUIDE.read_text(encoding="utf-8")


def test_every_picture_of_the_guide_is_there():
    pictures = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", GUIDE.read_text(encoding="utf-8"))
    assert len(pictures) >= 6
    assert [name for name in pictures if not (GUIDE.parent / name).is_file()] == []
