"""What Streamlit runs anew for each change on a page; everything else is imported once."""

from labelwright.app.panel.shell import show

show()
