"""The control panel: a page in the browser that starts, shows and steers runs."""
