"""`ppa-report`: tables, plots and one page of results files, models side by side.

From results (`measured`) come `Grid`s of text (`paper_tables`, `published/`, `analysis_tables`) and pictures
(`figures`, `analysis_figures`); `markdown`, `latex`, `html` and `long_csv` write them out. `command` puts it all
together; the flags are in `cli`.
"""

from ppa_plugin.evaluation.report.cli import main

__all__ = ["main"]
