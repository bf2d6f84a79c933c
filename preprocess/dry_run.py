"""`sample --dry-run`: what each language's sources hold and what its sample would be, without writing anything."""

from collections import Counter
from collections.abc import Callable

from ppa_preprocess.group import Group
from ppa_preprocess.sample import check_some_left, sample_size, wanted_lines
from ppa_preprocess.text.source_formats import Findings
from ppa_preprocess.text.sources import Source

from ppa_plugin.commandline import align

# Sentences of each language in the paper's Table 1, rounded as there
_PAPER = {
    "amh_Ethi": 286_000,
    "ara_Arab": 2_400_000,
    "arb_Arab": 15_000,
    "ary_Arab": 10_000,
    "arz_Arab": 348_000,
    "bod_Tibt": 27_000,
    "ell_Grek": 2_200_000,
    "fas_Arab": 1_800_000,
    "heb_Hebr": 1_800_000,
    "kor_Hang": 646_000,
    "lao_Laoo": 10_000,
    "lhu_Latn": 10_000,
    "lzh_Hani": 10_000,
    "mlt_Latn": 4_000_000,
    "mya_Mymr": 94_000,
    "tha_Thai": 773_000,
    "tur_Latn": 2_900_000,
    "wuu_Hani": 22_000,
    "yue_Hani": 48_000,
    "zho_Hani": 2_400_000,
}


def run(group: Group, sources: dict[str, list[Source]], column: str, say: Callable[[str], None]) -> None:
    """Read every source to its end and print, for each language, the lines read, filtered out and to be taken.

    Beside languages of the paper stands how many it took of them. Raises `UserError` as sampling does.
    """
    rows, reasons, doubts, line_breaks, line_ends = [], [], [], 0, 0
    for lang in group.languages:
        found, filtered = Findings(), Counter()
        passed = sum(1 for _ in wanted_lines(group, lang, sources[lang], column, found, filtered))
        check_some_left(passed, filtered, lang, sources[lang])
        names = " + ".join(source.name for source in sources[lang])
        given = sample_size(passed, group.sampling)
        rows.append((f"{lang} <- {names}", passed + filtered.total(), filtered.total(), given, _PAPER.get(lang)))
        reasons += [f"{lang}: {count:,} lines {reason}" for reason, count in sorted(filtered.items())]
        doubts += found.doubts.values()
        line_breaks += found.line_breaks
        line_ends += found.line_ends
    rows.append(("all", *(sum(filter(None, column)) for column in list(zip(*rows, strict=True))[1:])))
    header = ("language <- source", "read", "filtered", "given", "paper")
    table = [header, *((row[0], *("-" if cell is None else f"{cell:,}" for cell in row[1:])) for row in rows)]
    columns = [i for i, name in enumerate(header) if name != "paper" or any(lang in _PAPER for lang in sources)]
    for line in align([tuple(row[i] for i in columns) for row in table]):
        say(line)
    for reason in reasons:
        say(f"filtered  {reason}")
    if line_breaks:
        say(f"{line_breaks:,} values with line breaks, which become spaces")
    if line_ends:
        say(f"{line_ends:,} lines end in \\r, which is taken off")
    for doubt in doubts:
        say(f"warning   {doubt}")
