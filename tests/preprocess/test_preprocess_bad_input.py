"""Bad input ends in one sentence and exit code 2, with nothing half-written."""

import fcntl

import pytest
import sentencepiece
import yaml
from made_up_text import sentences, tree, write_corpus

LANGUAGE = "tur_Latn"


class Setting:
    """A good run's arguments, for a case to spoil."""

    def __init__(self, folder, spm):
        self.corpus = write_corpus(folder / "in", {lang: sentences(lang, 50) for lang in (LANGUAGE, "ell_Grek")})
        self.text = self.corpus / "tur_Latn.txt"
        self.config = folder / "group.yaml"
        self.output = folder / "out"
        self.spm = folder / "sentencepiece.bpe.model"
        self.spm.write_bytes(spm.read_bytes())
        self.group = {
            "name": "g",
            "shards": 2,
            "valid_size": 5,
            "romanizer": {"name": "stub"},
            "languages": {"ell_Grek": {"uroman": None}, LANGUAGE: {"uroman": None}},
        }
        self.options = {"--config": self.config, "--input": self.corpus, "--spm": self.spm, "--output": self.output}
        self.step = "all"

    def arguments(self):
        if not self.config.exists():
            self.config.write_text(yaml.safe_dump(self.group), encoding="utf-8")
        return [self.step, *(str(part) for option in self.options.items() for part in option)]


def without(flag):
    return lambda s: s.options.pop(flag)


def group(**changes):
    return lambda s: s.group.update(changes)


def one_code_for_a_group(s):
    s.step = "romanize"
    s.options["--lang"] = "tur"


def a_romanizer_for_a_group(s):
    s.step = "romanize"
    s.options["--romanizer"] = "stub"


def text(content: bytes):
    return lambda s: s.text.write_bytes(content)


def other_model(s, **options):
    lines = s.config.with_name("text")
    lines.write_text("\n".join(sentences(LANGUAGE, 50)), encoding="utf-8")
    prefix = str(s.config.with_name("other"))
    sentencepiece.SentencePieceTrainer.train(
        input=str(lines), model_prefix=prefix, vocab_size=70, minloglevel=2, **options
    )
    s.options["--spm"] = f"{prefix}.model"


def empty_latin_side(s):
    s.step = "encode"
    write_corpus(s.output / "pairs", {})
    for lang in ("ell_Grek", LANGUAGE):
        (s.output / "pairs" / f"{lang}.orig").write_text("a\n" * 3)
        (s.output / "pairs" / f"{lang}.latn").write_text("\n" * 3)


def sides_of_unequal_length(s):
    empty_latin_side(s)
    (s.output / "pairs/ell_Grek.latn").write_text("a\n" * 2)


def a_negative_sample(s):
    s.step = "verify"
    s.options["--sample"] = -1


def a_step_too_early(step):
    return lambda s: setattr(s, "step", step)


CASES = {
    "no --config": (without("--config"), "needs --config"),
    "no --spm": (without("--spm"), "needs --spm"),
    "no --input": (without("--input"), "needs --input"),
    "no --output": (without("--output"), "needs --output"),
    "config missing": (lambda s: s.options.update({"--config": "no.yaml"}), "cannot read --config no.yaml"),
    "config no YAML": (lambda s: s.config.write_text("name: [g"), "not valid YAML"),
    "config no UTF-8": (lambda s: s.config.write_bytes(b"name: \xff"), "not valid UTF-8"),
    "config a list": (lambda s: s.config.write_text("- g"), "expected a mapping"),
    "unknown key": (group(vaild_size=3), "unknown key 'vaild_size'; the nearest known key is 'valid_size'"),
    "unknown key of sampling": (group(sampling={"shard": 1}), "the nearest known key is 'share'"),
    "unknown key of a language": (group(languages={LANGUAGE: {"iso": "tur"}}), "languages.tur_Latn has an unknown key"),
    "no languages": (group(languages={}), "languages is empty"),
    "languages a list": (group(languages=[LANGUAGE]), "languages is empty or no mapping"),
    "a language with a slash": (group(languages={"../tur": None}), "'../tur' is not a language code"),
    "a language code in full": (group(languages={LANGUAGE: {"uroman": "Turkish"}}), "not an ISO 639-3 code"),
    "shards 0": (group(shards=0), "shards is 0, expected a whole number from 1 to 10000"),
    "shards true": (group(shards=True), "shards is True"),
    "max_tokens 2": (group(max_tokens=2), "max_tokens is 2"),
    "share 10": (group(sampling={"share": 10}), "sampling.share is 10, expected a number from 0 to 1"),
    "another binarizer": (group(binarizer="fast"), "binarizer is 'fast', known are: fairseq-preprocess, direct"),
    "another --binarizer": (lambda s: s.options.update({"--binarizer": "fast"}), "binarizer is 'fast'"),
    "--shards 0": (lambda s: s.options.update({"--shards": 0}), "--shards: 0 is not a whole number from 1 to 10000"),
    "--valid-size many": (lambda s: s.options.update({"--valid-size": "many"}), "many is not a whole number"),
    "--sample -1": (a_negative_sample, "-1 is not a whole number of at least 0"),
    "another romanizer": (group(romanizer={"name": "yadda"}), "romanizer.name is 'yadda', known are: uroman, "),
    "no romanizer": (group(romanizer=[]), "romanizer is an empty list, expected one romanizer or several"),
    "a romanizer twice": (group(romanizer=["stub", "stub"]), "romanizer names stub twice"),
    "a language's romanizer": (
        group(languages={LANGUAGE: {"romanizer": "no_such:Romanizer"}}),
        "languages.tur_Latn: romanizer.name is 'no_such:Romanizer', which cannot be imported: No module named",
    ),
    "a romanizer for a group": (a_romanizer_for_a_group, "--romanizer is for a single file; with --config the group"),
    "file missing": (lambda s: s.text.unlink(), "tur_Latn.txt is missing"),
    "file empty": (text(b""), "tur_Latn.txt is empty"),
    "not UTF-8": (text(b"a\nb\n\xe7\n"), "tur_Latn.txt, line 3: not valid UTF-8"),
    "UTF-16": (text("merhaba\n".encode("utf-16")), "tur_Latn.txt is UTF-16; convert the file to UTF-8"),
    "a surrogate": (text(b"a\n\xed\xa0\x80\n"), "tur_Latn.txt, line 2: not valid UTF-8"),
    "nothing but blanks": (text(b" \n\n\t\n"), "tur_Latn.txt: all 3 lines of tur_Latn are blank"),
    "fewer pairs than shards": (text(b"bir\niki\n"), "tur_Latn has 1 training pairs for 2 shards"),
    "model missing": (lambda s: s.spm.unlink(), "sentencepiece.bpe.model: No such file"),
    "model no model": (lambda s: s.spm.write_bytes(b"x" * 99), "not a readable SentencePiece model"),
    "model laid out otherwise": (lambda s: other_model(s, bos_id=0, unk_id=1), "the first pieces are"),
    "model with <mask>": (lambda s: other_model(s, user_defined_symbols=["<mask>"]), "user-defined symbols, such as"),
    "output a file": (lambda s: s.output.write_text("x"), "out is a file"),
    "output with a comma": (lambda s: s.options.update({"--output": f"{s.output},2"}), "splits paths at ','"),
    "sides of unequal length": (sides_of_unequal_length, "ell_Grek.orig has 3 lines and"),
    "every side empty": (empty_latin_side, "none of the 3 pairs of ell_Grek is left"),
    "romanize before sample": (a_step_too_early("romanize"), "run `ppa-preprocess sample` first"),
    "encode before romanize": (a_step_too_early("encode"), "run `ppa-preprocess romanize` first"),
    "binarize before encode": (a_step_too_early("binarize"), "is missing"),
    "verify before binarize": (a_step_too_early("verify"), "manifest.json is missing"),
    "workers 0": (lambda s: s.options.update({"--workers": 0}), "0 is not a whole number from 1 to 1024"),
    "a code for a group": (one_code_for_a_group, "--lang is for a single file"),
}


@pytest.mark.parametrize("case", CASES)
def test_bad_input_is_named(tmp_path, spm, ppa, case):
    spoil, sentence = CASES[case]
    setting = Setting(tmp_path, spm)
    spoil(setting)
    assert ppa(*setting.arguments()) == 2
    assert sentence in ppa.err
    assert "Traceback" not in ppa.err
    assert ppa.err.strip().splitlines()[-1].count("error: ") == 1
    assert not list(tmp_path.rglob("*.tmp"))
    assert not list(tmp_path.rglob("manifest.json"))


def test_a_model_of_another_kind_is_found_before_the_work(tmp_path, spm, ppa):
    setting = Setting(tmp_path, spm)
    other_model(setting, user_defined_symbols=["<mask>"])
    assert ppa(*setting.arguments()) == 2
    assert not setting.output.exists()


def test_a_bad_byte_at_the_end_leaves_no_text_of_its_language_and_the_others_done(tmp_path, spm, ppa):
    setting = Setting(tmp_path, spm)
    good = setting.text.read_bytes()
    setting.text.write_bytes(good + b"\xff\n")
    assert ppa(*setting.arguments()) == 2
    assert set(tree(setting.output)) == {".ppa-state/lock", ".ppa-state/state.json", "text/ell_Grek.txt"}
    setting.text.write_bytes(good)
    assert ppa(*setting.arguments()) == 0
    assert "sample    ell_Grek  unchanged" in ppa.out


def test_two_runs_do_not_write_to_one_directory(tmp_path, spm, ppa):
    setting = Setting(tmp_path, spm)
    (setting.output / ".ppa-state").mkdir(parents=True)
    with open(setting.output / ".ppa-state/lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert ppa(*setting.arguments()) == 2
    assert "another ppa-preprocess is writing" in ppa.err


@pytest.mark.parametrize(
    ("content", "options", "sentence"),
    [
        (None, [], "is not a file"),
        (b"", [], "is empty"),
        (b"a\n\xff\n", [], "line 2: not valid UTF-8"),
        (b"a\n", ["--lang", "turkish"], "not an ISO 639-3 code"),
    ],
)
def test_bad_single_files(tmp_path, ppa, content, options, sentence):
    if content is not None:
        (tmp_path / "in.txt").write_bytes(content)
    (tmp_path / "out").write_text("as it was")
    assert ppa("romanize", "--input", tmp_path / "in.txt", "--output", tmp_path / "out", *options) == 2
    assert sentence in ppa.err
    assert (tmp_path / "out").read_text() == "as it was"
