"""Bar plots that compare models, target by target."""

import io

import matplotlib

matplotlib.use("Agg")  # files only: no display is needed or looked for
matplotlib.rcParams["svg.hashsalt"] = "ppa"  # the same table gives the same file
import matplotlib.pyplot as plt  # noqa: E402

from ppa_plugin.evaluation.tables import Table  # noqa: E402

FORMATS = ("png", "svg")


def bar_plot(table: Table) -> dict[str, bytes]:
    """A group of bars a target and one for the means, a bar a model, values in percent; the file's bytes by format."""
    rows = table.rows()
    models = table.columns
    width = 0.8 / len(models)
    figure, axes = plt.subplots(
        figsize=(max(5.0, 1.5 + 0.22 * len(rows) * (len(models) + 1)), 4.0), layout="constrained"
    )
    for place, model in enumerate(models):
        values = [cells[place] for _, cells in rows]
        positions = [row + (place - (len(models) - 1) / 2) * width for row in range(len(rows))]
        axes.bar(positions, [100 * (value or 0.0) for value in values], width, label=model)
    axes.set_xticks(range(len(rows)), [label for label, _ in rows], rotation=45, ha="right")
    axes.axvline(len(table.targets) - 0.5, color="0.6", linewidth=0.8)
    axes.set_ylabel(f"{table.metric} (%)")
    axes.set_title(table.title)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, loc="upper left", bbox_to_anchor=(1, 1))
    try:
        return {form: _rendered(figure, form) for form in FORMATS}
    finally:
        plt.close(figure)


def _rendered(figure, form: str) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format=form, dpi=150, metadata={"Date": None} if form == "svg" else None)
    return buffer.getvalue()
