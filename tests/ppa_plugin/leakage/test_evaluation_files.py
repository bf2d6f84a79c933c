"""Evaluation files under the names and in the shapes that sets have."""

import re
from pathlib import Path

import pytest

from ppa_plugin.commandline import UserError
from ppa_plugin.evaluation.tasks import TASKS, LabelledTask
from ppa_plugin.leakage.evaluation_files import EvaluationFile, evaluation_files

CONLLU = """\
# sent_id = 1
# text = Bir ev.
1-2\tBir ev\t_\t_\t_\t_\t_\t_\t_\t_
1\tBir\tbir\tDET\t_\t_\t_\t_\t_\t_
2\tev\tev\tNOUN\t_\t_\t_\t_\t_\tSpaceAfter=No
3\t.\t.\tPUNCT\t_\t_\t_\t_\t_\t_

# sent_id = 2
1-2\tau\t_\t_\t_\t_\t_\t_\t_\t_
1\tà\tà\tADP\t_\t_\t_\t_\t_\t_
2\tle\tle\tDET\t_\t_\t_\t_\t_\t_
2.1\tnul\t_\t_\t_\t_\t_\t_\t_\t_
3\tlac\tlac\tNOUN\t_\t_\t_\t_\t_\t_
"""
FILES = {
    "bible/bible.tur_Latn-eng_Latn.tur_Latn": ("bir ev\r\niki ev\n", "bible", "tur_Latn", ["bir ev", "iki ev"]),
    "bible/bible.tur_Latn-eng_Latn.eng_Latn": ("one\ntwo\n", "bible", "eng_Latn", ["one", "two"]),
    "tatoeba/tatoeba.cmn-eng.cmn": ("天 地\n", "tatoeba", "zho_Hani", ["天 地"]),
    "sib200/pes_Arab/test.tsv": ("index_id\tcategory\ttext\n1\tx\tیک دو\n", "sib200/test", "fas_Arab", ["یک دو"]),
    "taxi1500/860_tur_Latn_train.tsv": ('1\tSin\t"bir ""ev"""\n', "taxi1500/train", "tur_Latn", ['bir "ev"']),
    "panx/train-en.tsv": ("en:one\tO\nen:en:x\tB-PER\n\nen:two\tO\n", "panx/train", "eng_Latn", ["one en:x", "two"]),
    "panx/el-validation": ("α O\nβ B-LOC\n", "panx/validation", "ell_Grek", ["α β"]),
    "ner/amh_Ethi/dev.txt": ("-DOCSTART- X O\n\nሀ x O\nለ x B-LOC\n", "ner/dev", "amh_Ethi", ["ሀ ለ"]),
    "ner/zho_Hani/test.iob2": ("# a\n1\t天\tO\n2\t地\tB-LOC\n", "ner/test", "zho_Hani", ["天 地"]),
    "UD_Turkish-A/tr_a-ud-test.conllu": (CONLLU, "UD_Turkish-A/test", "tur_Latn", ["Bir ev.", "au lac"]),
    "udpos/mlt_Latn/train.conllu": (CONLLU, "udpos/train", "mlt_Latn", ["Bir ev.", "au lac"]),
    "plain/tur_Latn.txt": ("bir\tev\n\nO\n", "plain", "tur_Latn", ["bir\tev", "", "O"]),
    "sib200/ell_Grek/dev.tsv": ("α β\nγ\n", "sib200/dev", "ell_Grek", ["α β", "γ"]),
}


@pytest.fixture
def data(tmp_path) -> Path:
    for name, (content, *_) in FILES.items():
        path = tmp_path / "eval" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
    return tmp_path / "eval"


def by_name(files: list[EvaluationFile], root: Path) -> dict[str, tuple]:
    return {f.path.relative_to(root).as_posix(): (f.set, f.language, list(f.sentences())) for f in files}


def test_every_shape_is_understood(data):
    assert by_name(evaluation_files(data), data) == {name: tuple(rest) for name, (_, *rest) in FILES.items()}


@pytest.mark.parametrize("name", FILES)
def test_a_file_alone_is_understood_as_in_its_directory(data, name):
    (file,) = evaluation_files(data / name)
    _, whole, language, sentences = FILES[name]
    assert (file.path, file.set, file.language) == (data / name, whole, language)
    assert list(file.sentences()) == sentences


def test_a_language_s_directory(data):
    (file,) = evaluation_files(data / "sib200/pes_Arab")
    assert (file.set, file.language) == ("sib200/test", "fas_Arab")


def test_a_file_of_any_other_name_is_a_sentence_a_line(data):
    path = data / "held out.lines"
    path.write_text("bir ev\tO\nx\n")
    (file,) = evaluation_files(path)
    assert (file.set, file.language, list(file.sentences())) == ("held out.lines", "und", ["bir ev\tO", "x"])


def test_what_is_named_otherwise_is_passed_over(data, capsys):
    for name in ("README.md", "bible/verse_ids.txt", "bible/bible.xx-yy.zz", "SHA256SUMS"):
        (data / name).write_text("1\n")
    assert len(evaluation_files(data)) == len(FILES)
    assert capsys.readouterr().err == (
        f"note: {data}: passed over README.md, SHA256SUMS, bible/bible.xx-yy.zz and 1 more: not named as evaluation "
        "files are\n"
    )


@pytest.mark.parametrize("task", [task for task in TASKS.values() if isinstance(task, LabelledTask)], ids=str)
def test_the_names_that_tasks_read_are_known(tmp_path, task):
    names = [f"tur_Latn/train{ending and f'.{ending}'}" for ending in task.endings]
    flat = ["860_tur_Latn_dev.tsv", "dev-tr.tsv", "tr-test", "tr_boun-ud-train-a.conllu"]
    names += [name for name in flat if any(re.fullmatch(pattern, name) for pattern in task.patterns)]
    assert len(names) > len(task.endings)
    for name in names:
        path = tmp_path / "set" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")
    found = {file.path.relative_to(tmp_path / "set").as_posix(): file.language for file in evaluation_files(tmp_path)}
    assert found == dict.fromkeys(names, "tur_Latn")


def test_nothing_there(tmp_path):
    with pytest.raises(UserError, match=r"cannot read .*missing: No such file"):
        evaluation_files(tmp_path / "missing")
    with pytest.raises(UserError, match=r"holds no evaluation file; looked for names such as bible\.LANG"):
        evaluation_files(tmp_path)


def test_a_table_without_a_known_column_of_text(tmp_path):
    path = tmp_path / "tur_Latn" / "test.tsv"
    path.parent.mkdir()
    path.write_text("a\tb\tc\td\n1\t2\t3\t4\n")
    with pytest.raises(UserError, match=r"test\.tsv is a table whose column of text is not known"):
        list(evaluation_files(path)[0].sentences())
