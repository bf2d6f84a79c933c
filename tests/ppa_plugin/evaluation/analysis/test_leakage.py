"""`ppa-evaluate leakage`: lines of evaluation data counted in a corpus, printed and appended to the analysis file."""

import hashlib

import pytest
from running import exit_code

from ppa_plugin.evaluation import cli
from ppa_plugin.evaluation.analysis.records import latest, read_analysis
from ppa_plugin.evaluation.report.analysis_tables import leakage_tables

VERSE = "and it came to pass in those days that there"
FILES = {
    "corpus/eng_Latn.txt": f"Hello, World\n1. {VERSE.title()} went\nhello world\n",
    "corpus/tur_Latn.txt": "Bir ev\n",
    "corpus/notes.txt": "two\n",
    "eval/bible.tur_Latn-eng_Latn.eng_Latn": f"{VERSE}\nhello world!\nHello world\nWent\n",
    "eval/bible.tur_Latn-eng_Latn.tur_Latn": "ev\nbir ev\nbir\n...\n",
    "eval/sib200/tur_Latn/test.tsv": "index_id\tcategory\ttext\n1\tx\tev bir\n",
}
COUNTS = [
    ("bible", "eng_Latn", 3, 1, 1),
    ("bible", "tur_Latn", 3, 1, 0),
    ("sib200/test", "tur_Latn", 1, 0, 0),
]


@pytest.fixture
def place(tmp_path):
    for name, content in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content, encoding="utf-8")
    return tmp_path


def leakage(place, data="eval", corpus="corpus"):
    flags = ["--corpus", place / corpus, "--data", place / data, "--output", place / "analysis.jsonl"]
    return exit_code(cli.main, "leakage", *flags)


def test_lines_are_counted_by_set_and_language(place, capsys):
    assert leakage(place) == 0
    records = read_analysis(place / "analysis.jsonl")
    names = ("set", "language", "lines", "exact", "contained")
    assert [tuple(record[name] for name in names) for record in records] == COUNTS
    assert [round(record["share"], 3) for record in records] == [0.667, 0.333, 0]
    assert {record["kind"] for record in records} == {"leakage"}
    assert {record["corpus"] for record in records} == {str(place / "corpus")}
    content = (place / "eval/bible.tur_Latn-eng_Latn.tur_Latn").read_bytes()
    assert records[1]["data_sha256"] == hashlib.sha256(content).hexdigest()
    said = capsys.readouterr()
    assert said.out.splitlines() == [
        "set          language  lines  exact  contained  in the corpus (%)",
        "bible        eng_Latn      3      1          1               66.7",
        "bible        tur_Latn      3      1          0               33.3",
        "sib200/test  tur_Latn      1      0          0                0.0",
        "all                        7      2          1               42.9",
    ]
    assert "passed over notes" in said.err


def test_a_later_run_over_a_corpus_counts_in_its_place(place):
    assert leakage(place) == 0
    (place / "corpus/eng_Latn.txt").write_text("nothing of it\n")
    assert leakage(place) == 0
    records = latest(read_analysis(place / "analysis.jsonl"))
    assert [record["exact"] + record["contained"] for record in records] == [0, 1, 0]


def test_the_report_shows_what_was_found(place):
    assert leakage(place) == 0
    (grid,) = leakage_tables(read_analysis(place / "analysis.jsonl"))
    assert [row.labels for row in grid.rows] == [("bible", "eng_Latn"), ("bible", "tur_Latn"), ("all (3)", "")]
    assert [[cell.text for cell in row.cells] for row in grid.rows] == [
        ["3", "1", "1", "66.7"],
        ["3", "1", "0", "33.3"],
        ["7", "2", "1", "42.9"],
    ]
    assert grid.notes[1] == "Of 1 sets and languages no line is in the corpus."
    assert leakage_tables([]) == []
