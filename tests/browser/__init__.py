"""Tests that look at the notebooks and widgets in a real JupyterLab and a real Chromium."""
