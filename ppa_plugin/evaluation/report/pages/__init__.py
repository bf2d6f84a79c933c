"""The tables of a report as Markdown, LaTeX, CSV and one HTML page."""
