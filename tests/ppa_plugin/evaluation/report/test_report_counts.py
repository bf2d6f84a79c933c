"""Published counts beside a manifest and an analysis of vocabulary: the file that ships, what is wrong, tables."""

import json
from pathlib import Path

import pytest
from made_up_results import result
from running import exit_code

from ppa_plugin.commandline import UserError
from ppa_plugin.evaluation import report
from ppa_plugin.evaluation.report.groups import EVERYTHING, Group, read_groups
from ppa_plugin.evaluation.report.published.counts import read_manifest, sentence_tables, vocabulary_table
from ppa_plugin.evaluation.report.published.facts import FIELDS, Count, read_paper
from ppa_plugin.evaluation.results import append_results

EXAMPLES = Path(__file__).parents[4] / "examples"
COUNTS = EXAMPLES / "paper_counts.csv"
HEADER = ",".join(Count._fields)
PRINTED = f"""\
# as printed
{HEADER}
med,Table 1,sentences,orig,ell_Grek,2.2M
med,Table 1,sentences,orig,tur_Latn,15k
med,Table 6,distinct_tokens,orig,all,200K
med,Table 6,distinct_tokens,latn,all,"125,000"
asia,Table 6,distinct_tokens,orig,all,120K
"""
EVERY = {"kind": "vocabulary", "model_sha256": "a", "data_sha256": "b", "version": "0.1.0"}


def written(tmp_path, text: str, name: str = "counts.csv") -> str:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return str(path)


def texts(grid) -> dict[tuple, tuple]:
    return {row.labels: tuple(cell.text for cell in row.cells) for row in grid.rows}


def test_the_shipped_counts():
    counts = read_paper([str(COUNTS)]).counts
    groups = {group.name: group.languages for group in read_groups(str(EXAMPLES / "paper_groups.yaml"))}
    sentences = {(c.group, c.language): c.number for c in counts if c.table == "Table 1"}
    assert sentences.keys() == {(name, code) for name, codes in groups.items() for code in codes}
    assert sentences["mediterranean_amharic_farsi", "mlt_Latn"] == 4_000_000
    assert sum(sentences.values()) == pytest.approx(15_759_000 + 4_040_000)  # 15.8M and 4.0M pairs
    tokens = {(c.group, c.side, c.language): c.value for c in counts if c.table == "Table 6"}
    assert tokens == {
        ("mediterranean_amharic_farsi", "orig", "all"): "209K",
        ("mediterranean_amharic_farsi", "latn", "all"): "125K",
        ("south_east_asian", "orig", "all"): "120K",
        ("south_east_asian", "latn", "all"): "88K",
    }


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", f"holds no published figures; its columns have to be {','.join(FIELDS)} or {HEADER}"),
        ("group,table\n", f"line 1: the columns have to be {','.join(FIELDS)} or {HEADER}"),
        (PRINTED + "g,t\n", "line 8: 2 fields, 6 columns"),
        (PRINTED + "g,t,sentences,orig,ell_Grek,\n", "line 8: value is empty"),
        (PRINTED + "g,t,words,orig,ell_Grek,3\n", "line 8: quantity 'words' is neither sentences nor distinct_tokens"),
        (PRINTED + "g,t,sentences,both,ell_Grek,3\n", "line 8: side 'both' is neither orig nor latn"),
        (PRINTED + "g,t,sentences,orig,greek,3\n", "line 8: language 'greek' is not a language code"),
        (PRINTED + "g,t,sentences,orig,all,2.4B\n", "line 8: value '2.4B' is not a count such as 15k, 2.4M or 9,000"),
        (PRINTED + "g,t,sentences,orig,all,-3\n", "line 8: value '-3' is not a count"),
        (PRINTED + "g,t,sentences,orig,all,nan\n", "line 8: value 'nan' is not a count"),
        (PRINTED + f"g,t,sentences,orig,all,{'9' * 5000}\n", "line 8: value '999"),
        (PRINTED + PRINTED.splitlines()[2] + "\n", "line 8: the figure of line 3 again"),
    ],
)
def test_what_is_wrong_is_named_with_file_and_line(tmp_path, text, says):
    path = written(tmp_path, text)
    with pytest.raises(UserError) as error:
        read_paper([path])
    assert str(error.value).startswith(path)
    assert says in str(error.value)
    assert len(str(error.value)) < 500


def test_a_figure_in_two_files_is_named(tmp_path):
    one, two = written(tmp_path, PRINTED), written(tmp_path, PRINTED, "again.csv")
    with pytest.raises(UserError, match=r"again\.csv has a figure that .*counts\.csv has too: med, Table 1, sentences"):
        read_paper([one, two])
    assert len(read_paper([one, str(COUNTS)]).counts) == 5 + 24


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("[]", "is not a JSON object"),
        ("{", "is not valid JSON"),
        ("{}", "is no manifest.json of ppa-preprocess: it has no languages"),
        ('{"languages": {"ell_Grek": 3}}', "is no manifest.json of ppa-preprocess: read of 'ell_Grek' is None"),
        (
            '{"languages": {"ell_Grek": {"read": -3}}}',
            "is no manifest.json of ppa-preprocess: read of 'ell_Grek' is -3",
        ),
        ('{"languages": {"ell_Grek": {"read": 3, "kept": "3"}}}', "kept of 'ell_Grek' is '3'"),
    ],
)
def test_what_is_no_manifest_is_named(tmp_path, content, says):
    path = written(tmp_path, content, "manifest.json")
    with pytest.raises(UserError) as error:
        read_manifest(path)
    assert str(error.value).startswith(path)
    assert says in str(error.value)


def corpus(tmp_path, name: str, **languages):
    counts = {code: {"read": read, "kept": kept} for code, (read, kept) in languages.items()}
    text = json.dumps({"format": 1, "group": {"name": name}, "languages": counts})
    return read_manifest(written(tmp_path, text, f"{name}{len(languages)}.json"))


def test_sentences_language_by_language(tmp_path):
    counts = read_paper([written(tmp_path, PRINTED)]).counts
    mine = corpus(tmp_path, "mine", ell=(1200, 1100), eng_Latn=(9, 8))
    table, others = sentence_tables(counts, [mine], [EVERYTHING])
    assert (table.title, table.spans) == ("med, Table 1: sentences", (("", 1), ("this run: mine", 2)))
    assert table.columns == ("published", "read", "kept")
    assert texts(table) == {("ell_Grek",): ("2.2M", "1,200", "1,100"), ("tur_Latn",): ("15k", "–", "–")}
    assert texts(others) == {("eng_Latn",): ("9", "8")}
    # languages of --groups that the paper has no sentences of; two manifests of one name
    again = corpus(tmp_path, "mine", fas_Arab=(5, 4))
    table, _ = sentence_tables(counts, [mine, again], [Group("Med", ("fas_Arab", "ell_Grek"))])
    assert [label for label, _ in table.spans] == ["", *(f"this run: mine ({of.path})" for of in (mine, again))]
    assert texts(table)["fas_Arab",] == ("–", "–", "–", "5", "4")


def test_sentences_of_one_alone(tmp_path):
    counts = read_paper([written(tmp_path, PRINTED)]).counts
    (printed,) = sentence_tables(counts, [], [EVERYTHING])
    assert texts(printed) == {("ell_Grek",): ("2.2M",), ("tur_Latn",): ("15k",)}
    (own,) = sentence_tables([], [corpus(tmp_path, "mine", ell_Grek=(3, 2))], [EVERYTHING])
    assert (own.title, texts(own)) == ("Sentences by language", {("ell_Grek",): ("3", "2")})
    assert sentence_tables([], [], [EVERYTHING]) == []


def analysed(model: str, *languages: str) -> list[dict]:
    return [
        {
            **EVERY,
            "model": model,
            "language": code,
            "side": side,
            "group": {"languages": languages, "distinct_tokens": n},
        }
        for side, n in (("orig", 4000), ("latn", 3000))
        for code in languages
    ]


def test_the_vocabulary_of_a_group(tmp_path):
    counts = read_paper([written(tmp_path, PRINTED)]).counts
    records = [*analysed("base", "ell_Grek"), *analysed("wide", "ell_Grek", "kor_Hang"), {**EVERY, "model": "old"}]
    grid = vocabulary_table(counts, records, [EVERYTHING])
    assert grid.columns == ("orig", "latn", "latn of orig (%)")
    assert texts(grid) == {
        ("med", "published"): ("200K", "125,000", "62.5"),
        ("med", "this run: base (1 of 2 languages)"): ("4,000", "3,000", "75.0"),
        ("asia", "published"): ("120K", "–", "–"),
    }
    assert any(note.endswith("vocabulary of wide.") for note in grid.notes)
    assert vocabulary_table([], records, [EVERYTHING]) is None


EVIL = "<b>&|$x$"


@pytest.fixture(scope="module")
def paper_report(tmp_path_factory):
    """The report of results under the paper's names, with all that is published."""
    directory = tmp_path_factory.mktemp("paper")
    figures = read_paper([str(EXAMPLES / "paper_results.csv")]).figures
    changes = {"ner": {"seed": 42, "layer": None, "pool": None}}
    results = [
        result(f.model, f.target, f.value, task=f.task, metric=f.metric, source=f.source, **changes.get(f.task, {}))
        for f in figures
        if f.task in ("bible", "ner") and f.model in ("Glot500", "MLM+SEQ") and f.target not in ("mean", "mlt_Latn")
    ]
    append_results(directory / "results.jsonl", results)
    counts = {"ell_Grek": {"read": 12345, "kept": 12000}}
    (directory / "manifest.json").write_text(json.dumps({"group": {"name": EVIL}, "languages": counts}))
    records = [
        {**record, "words": 3, "tokens": 5, "distinct_tokens": 3, "unknown_tokens": 1, "tokens_per_word": 1.5}
        | {"covered": 0.5, "group": {**record["group"], "covered": 0.5, "shared": None}}
        for record in analysed("Glot500", "ell_Grek")
    ]
    (directory / "analysis.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    flags = ["--paper", EXAMPLES / "paper_results.csv", "--paper", COUNTS, "--manifest", directory / "manifest.json"]
    flags += ["--analysis", directory / "analysis.jsonl", "--output", directory / "out"]
    assert exit_code(report.main, directory / "results.jsonl", *flags) == 0
    return directory / "out"


def test_the_report_prints_every_cell_of_the_paper(paper_report):
    figures = read_paper([str(EXAMPLES / "paper_results.csv")]).figures
    text = (paper_report / "results.md").read_text(encoding="utf-8")
    tables = dict(part.split("\n", 1) for part in text.split("\n### "))
    for figure in figures:
        table = tables[f"{figure.group}, {figure.table}: {figure.task}, {figure.metric}"]
        lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines() if line[:1] == "|"]
        column = lines[0].index(figure.source)
        target = model = ""
        for line in lines[2:]:
            target, model = line[0] or target, line[1] or (model if not line[0] else "")
            if (target, model, line[2]) == (figure.target, figure.model, "published"):
                assert line[column].rstrip("†") == f"{100 * figure.value:.1f}"
                break
        else:
            pytest.fail(f"not there: {figure}")


def test_the_paper_on_the_page(paper_report):
    page = (paper_report / "report.html").read_text(encoding="utf-8")
    assert page.count("<summary>5 tables</summary>") == 10
    assert "<summary>1 table</summary>" in page
    assert EVIL not in page
    assert "&lt;b&gt;&amp;|$x$" in page
    text = (paper_report / "results.md").read_text(encoding="utf-8")
    assert "| ell_Grek | 2.2M | 12,345 | 12,000 |" in text
    assert "|  | this run: Glot500 (1 of 10 languages) | 4,000 | 3,000 | 75.0 |" in text
    assert "| mlt_Latn | Glot500 | published | 50.4 | 55.0 | 69.2 | 44.8 |\n|  |  | this run | – | – | – | – |" in text
    assert (paper_report / "tables" / "published_south_east_asian_Table-3_ner_span_micro_f1.tex").is_file()


def test_the_papers_figures_beside_a_run_with_other_names(tmp_path):
    results = EXAMPLES / "miniature" / "measured" / "results.jsonl"
    assert exit_code(report.main, results, "--paper", EXAMPLES / "paper_results.csv", "--output", tmp_path) == 0
    text = (tmp_path / "results.md").read_text(encoding="utf-8")
    assert "| tur_Latn | Glot500 | published | 63.2 | 77.6 | 51.8 | 32.2 |" in text
    assert "Differences are of models that have a published one's name: Glot500, MLM+SEQ+TLM, MLM, MLM+SEQ" in text
