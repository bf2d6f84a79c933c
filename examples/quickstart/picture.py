"""The script barrier before and after alignment: a picture of what `make demo` left, with the models that it trained.

    python examples/quickstart/picture.py --run runs/quickstart

A cell says how often, in percent, a held-out name in the script of its row is found in the script of its column: the
right one is among the ten nearest of 300. English, first in row and column, is what `make demo` prints.
"""

import argparse
from pathlib import Path

import matplotlib

matplotlib.use("Agg")  # files only: no display is needed or looked for
import matplotlib.pyplot as plt
import torch
from torch import Tensor

from ppa_plugin.evaluation.encoder.sentence_encoder import SentenceEncoder
from ppa_plugin.evaluation.retrieval import top_k_accuracy

ENGLISH = "eng_Latn"
SCRIPTS = {
    **{"Latn": "Latin", "Grek": "Greek", "Arab": "Arabic", "Hebr": "Hebrew", "Ethi": "Ethiopic", "Geor": "Georgian"},
    **{"Hang": "Hangul", "Thai": "Thai", "Hani": "Han", "Laoo": "Lao", "Mymr": "Burmese", "Tibt": "Tibetan"},
}
NEAREST = 10
INK = "#24292f"


def read_names(directory: Path) -> dict[str, list[str]]:
    """The held-out names by language, English first; line i is the same name in all of them."""
    files = {path.suffix[1:]: path for path in sorted(directory.glob(f"bible.*-{ENGLISH}.*"))}
    return {
        language: files[language].read_text(encoding="utf-8").split("\n")[:-1]
        for language in sorted(files, key=lambda language: (language != ENGLISH, language))
    }


def found(vectors: list[Tensor]) -> Tensor:
    """Top-10 accuracy in percent from each language (rows) to each (columns): L of (N, C) -> (L, L), NaN to itself."""
    shares = [[100 * top_k_accuracy(one, other, (NEAREST,))[NEAREST] for other in vectors] for one in vectors]
    return torch.tensor(shares).fill_diagonal_(float("nan"))


def among_their_own(vectors: list[Tensor]) -> float:
    """Of the ten nearest of each name among those of all languages, the share in percent that is in its own."""
    every = torch.nn.functional.normalize(torch.cat(vectors).double(), dim=1)
    language = torch.arange(len(vectors)).repeat_interleave(torch.tensor([len(each) for each in vectors]))
    nearest = language[(every @ every.T).fill_diagonal_(-2).topk(NEAREST).indices]
    return 100 * (nearest == language.unsqueeze(1)).double().mean().item()


def draw(panel, cells: Tensor, languages: list[str], title: str) -> None:
    """One model's figures as a table of coloured cells."""
    panel.pcolormesh(cells.numpy(), cmap="Blues", vmin=0, vmax=60, edgecolors="white", linewidth=1.5)
    for row, column in (~cells.isnan()).nonzero().tolist():
        share = cells[row, column].item()
        colour = "white" if share > 30 else INK
        panel.text(column + 0.5, row + 0.5, f"{share:.0f}", ha="center", va="center", color=colour, fontsize=10)
    scripts = [SCRIPTS.get(language[-4:], language) for language in languages]
    ticks = torch.arange(len(languages)) + 0.5
    panel.set_xticks(ticks, scripts, rotation=45, ha="right", rotation_mode="anchor")
    panel.set_yticks(ticks, scripts)
    panel.tick_params(length=0)
    panel.spines[:].set_visible(False)
    panel.set(aspect="equal")
    panel.invert_yaxis()
    panel.set_title(f"{title}: {cells.nanmean():.1f}% found", fontsize=11, color=INK)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--run", type=Path, default=Path("runs/quickstart"), help="what make demo left; default: %(default)s")
    add("--output", type=Path, default=Path(__file__).with_name("script_barrier.svg"), help="default: %(default)s")
    args = parser.parse_args()
    names = read_names(args.run / "retrieval")
    cells = {}
    for model in ("base", "mlm", "aligned"):
        encoder = SentenceEncoder(args.run / model)
        vectors = [encoder.encode(each) for each in names.values()]
        cells[model] = found(vectors)
        print(
            f"{model}: {cells[model].nanmean():.1f}% found in another script, {cells[model][0].nanmean():.1f}% from "
            f"English; {among_their_own(vectors):.1f}% of the {NEAREST} nearest among all names are in the same script"
        )
    with plt.rc_context({"svg.hashsalt": "ppa", "svg.fonttype": "none", "xtick.color": INK, "ytick.color": INK}):
        figure, panels = plt.subplots(1, 2, figsize=(7.6, 4.2), layout="constrained")
        draw(panels[0], cells["base"], [*names], "Before alignment")
        draw(panels[1], cells["aligned"], [*names], "After")
        panels[0].set_ylabel("a name in this script", color=INK)
        figure.supxlabel("is looked up among those in this script", fontsize=10, color=INK)
        figure.savefig(args.output, facecolor="white", metadata={"Date": None, "Creator": None})
    print(f"wrote {args.output}")


if __name__ == "__main__":
    main()
