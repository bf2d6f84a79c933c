"""`tokenizer.json` encodes as SentencePiece does, in every normal form, or is refused; what is made of it."""

import io
import json
import unicodedata

import pytest
import sentencepiece
from hypothesis import example, given
from hypothesis import strategies as st
from sentencepiece.sentencepiece_model_pb2 import ModelProto

from ppa_plugin.commandline import UserError
from ppa_plugin.convert.tokenizer import normalizer, tokenizer_json
from ppa_plugin.data.vocabulary import load_sentencepiece, to_indices
from ppa_plugin.evaluation.encoder.loading import import_transformers

FORMS = ("NFC", "NFD", "NFKC", "NFKD")
HALF_WIDTH = "ｶﾞｷﾞﾊﾟ ﾃﾞｰﾀ ﾌﾟﾛｸﾞﾗﾑ ｳﾞ"
VIETNAMESE = "Tiếng Việt: Một ngôi nhà ở giữa đồng, mộ ộ Ộ ặ ỡ"
POINTED = "شَدَّة بِّسْمِ שָׁלוֹם נִקּוּד Ἀχιλλεύς ᾄδω กำลัง น้ำ क़लम"
SPECIALS = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")


def train(sentences, path, **settings):
    """A SentencePiece model of many scripts; `settings` change XLM-R's."""
    written = io.BytesIO()
    text = [*sentences, HALF_WIDTH, VIETNAMESE, POINTED, unicodedata.normalize("NFKC", HALF_WIDTH)]
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(text * 3),
        model_writer=written,
        vocab_size=settings.pop("vocab_size", 600),
        hard_vocab_limit=False,
        num_threads=1,
        minloglevel=2,
        **{"character_coverage": 1.0} | settings,
    )
    path.write_bytes(written.getvalue())
    return path


@pytest.fixture(scope="module")
def model_path(sentences, tmp_path_factory):
    return train(sentences, tmp_path_factory.mktemp("spm") / "sentencepiece.bpe.model")


@pytest.fixture(scope="module")
def both(model_path):
    """The SentencePiece model, and the tokenizer of the tokenizers library that is built of it."""
    processor = load_sentencepiece(model_path)
    return processor, tokenizer_json.build(processor)


def directory_of(path, folder):
    """A Hugging Face directory with the tokenizer's files."""
    (folder / "config.json").write_text(json.dumps({"model_type": "xlm-roberta", "max_position_embeddings": 1026}))
    tokenizer_json.write_tokenizer(folder, path)
    return folder


@pytest.mark.parametrize("form", FORMS)
def test_two_tokenizers_encode_alike_in_every_normal_form(form, model_path, sentences, tmp_path):
    processor = load_sentencepiece(model_path)
    loaded = import_transformers().AutoTokenizer.from_pretrained(directory_of(model_path, tmp_path))
    for line in [*sentences, HALF_WIDTH, VIETNAMESE, POINTED, " two  spaces ", "a\x85b\u3000c\x1cd", ""]:
        text = unicodedata.normalize(form, line)
        ids = to_indices(processor.encode(text)).tolist()
        assert loaded(text)["input_ids"] == [0, *ids, 2], text
    composed, other = (processor.encode(unicodedata.normalize(f, sentences[16])) for f in ("NFC", form))
    assert other == composed, "SentencePiece itself reads decomposed Hangul as composed"


def test_half_width_kana_are_what_sentencepiece_makes_of_them(both):
    processor, built = both
    assert processor.encode(HALF_WIDTH) == processor.encode(unicodedata.normalize("NFKC", HALF_WIDTH))
    assert built.encode(HALF_WIDTH, add_special_tokens=False).ids == to_indices(processor.encode(HALF_WIDTH)).tolist()


characters = st.one_of(
    st.characters(exclude_categories=["Cs"]),
    st.sampled_from([chr(code) for code in range(0x300, 0x370)]),
    st.sampled_from(
        "\u1100\u1112\u1161\u1175\u11a8\u11c2ㄱㅏㅎﾞﾟｶﾊ가각\u05b0\u05bc\u05c1\u064b\u0651\u0e33\u200c\u200d\r\n \x85▁"
    ),
)


@given(st.lists(characters, max_size=12).map("".join), st.sampled_from((None, *FORMS)))
@example("Vie\u0323\u0302t e\u0301\u0323\u0302\u0301", None)
@example("\u1112\u1161\u11ab\u11ab 한\u11ab ᄀ가", None)
@example("\u00aa\u0301 ﬁ\u0302 ²\u0301", None)
@example("\x85", None)
def test_any_text_is_encoded_alike(both, text, form):
    processor, built = both
    text = unicodedata.normalize(form, text) if form else text
    if any(mark in text for mark in (normalizer.CUT, normalizer.JOINT)):
        return  # the two code points that are reserved for the steps of the normaliser
    assert built.encode(text, add_special_tokens=False).ids == to_indices(processor.encode(text)).tolist()


@pytest.mark.parametrize(
    "settings",
    [
        {"add_dummy_prefix": False},
        {"split_by_whitespace": False, "vocab_size": 800},
        {"normalization_rule_name": "nfkc"},
        {"normalization_rule_name": "identity"},
        {"remove_extra_whitespaces": False},
    ],
    ids=lambda settings: "-".join(f"{key}={value}" for key, value in settings.items()),
)
def test_sentencepiece_models_of_other_kinds_encode_alike(settings, sentences, tmp_path):
    path = train(sentences, tmp_path / "other.model", **settings)
    processor = load_sentencepiece(path)
    folder = tmp_path / "hf"
    folder.mkdir()
    directory_of(path, folder)
    loaded = import_transformers().AutoTokenizer.from_pretrained(folder)
    for line in [*sentences * 2, HALF_WIDTH, VIETNAMESE, "ein  zwei ", "unseen: ☃ 𓀀"]:
        for text in (line, *(unicodedata.normalize(form, line) for form in FORMS)):
            ids = to_indices(processor.encode(text)).tolist()
            assert loaded(text, add_special_tokens=False)["input_ids"] == ids, text


def test_a_model_that_folds_case_is_refused(sentences, tmp_path):
    path = train(sentences, tmp_path / "folds.model", normalization_rule_name="nmt_nfkc_cf")
    with pytest.raises(UserError, match=r"folds\.model: its rules cannot be written as a tokenizer\.json"):
        directory_of(path, tmp_path)
    assert not (tmp_path / "tokenizer.json").exists()


def test_a_model_that_the_library_would_encode_otherwise_is_refused(model_path, tmp_path, monkeypatch):
    """As it would without the steps that stand in for its normaliser."""
    monkeypatch.setattr(normalizer, "steps", lambda charsmap: [])
    with pytest.raises(UserError, match=r"bpe\.model encodes .* otherwise than its tokenizer\.json would"):
        directory_of(model_path, tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["config.json"]


def test_a_rule_that_is_not_composition_is_refused(sentences, tmp_path):
    (tmp_path / "rules.tsv").write_text("61 62\t7A\n", encoding="utf-8")  # ab -> z
    path = train(
        sentences,
        tmp_path / "own.model",
        normalization_rule_tsv=str(tmp_path / "rules.tsv"),
        normalization_rule_name="",
    )
    assert load_sentencepiece(path).normalize("ab").strip("▁") == "z"
    (tmp_path / "hf").mkdir()
    with pytest.raises(UserError, match=r"own\.model: its rules cannot be written .*'ab' becomes 'z'"):
        directory_of(path, tmp_path / "hf")
    assert not (tmp_path / "hf" / "tokenizer.json").exists()


def test_pieces_that_no_text_becomes_are_never_given(model_path, tmp_path):
    """A piece that spells a special, an unused one and a control piece: ids stay those of SentencePiece + 1."""
    model = ModelProto.FromString(model_path.read_bytes())
    model.DiscardUnknownFields()
    kinds = ModelProto.SentencePiece
    first = len(model.pieces) + 1
    for piece, kind in (
        ("<mask>", kinds.NORMAL),
        ("zzzz", kinds.UNUSED),
        ("<2x>", kinds.CONTROL),
        ("\x85", kinds.NORMAL),
    ):
        model.pieces.add(piece=piece, score=-1.0, type=kind)
    (tmp_path / "more.model").write_bytes(model.SerializeToString())
    processor = load_sentencepiece(tmp_path / "more.model")
    (tmp_path / "hf").mkdir()
    loaded = import_transformers().AutoTokenizer.from_pretrained(directory_of(tmp_path / "more.model", tmp_path / "hf"))
    assert len(loaded) == processor.get_piece_size() + 2
    for text in ("zzzz", "<2x>", "a\x85b"):
        assert loaded(text, add_special_tokens=False)["input_ids"] == to_indices(processor.encode(text)).tolist()
    assert first + 3 in loaded("a\x85b")["input_ids"]
    assert loaded("<mask>")["input_ids"] == [0, len(loaded) - 1, 2]


def test_what_the_directory_says_of_itself(model_path, tmp_path):
    loaded = import_transformers().AutoTokenizer.from_pretrained(directory_of(model_path, tmp_path))
    assert loaded.model_max_length == 1024, "positions - 2"
    assert [loaded.convert_ids_to_tokens(i) for i in (0, 1, 2, 3, len(loaded) - 1)] == list(SPECIALS)
    assert loaded.mask_token_id == len(loaded) - 1
    assert (loaded.cls_token_id, loaded.pad_token_id, loaded.sep_token_id, loaded.unk_token_id) == (0, 1, 2, 3)
    pair = loaded("Peace", "quiet", return_token_type_ids=False)["input_ids"]
    assert [token for token in pair if token in (0, 2)] == [0, 2, 2, 2], "<s> a </s></s> b </s>"
    assert loaded.decode(loaded("Peace and quiet")["input_ids"], skip_special_tokens=True) == "Peace and quiet"
    assert set(loaded("Peace")) == {"input_ids", "attention_mask"}


def test_older_releases_find_what_they_ask_of_metaspace(model_path, tmp_path):
    """Those before 0.19 read `add_prefix_space`; later ones refuse a `prepend_scheme` that contradicts it."""
    described = json.loads((directory_of(model_path, tmp_path) / "tokenizer.json").read_text(encoding="utf-8"))
    for part, scheme in (("pre_tokenizer", "never"), ("decoder", "always")):
        space = described[part]
        assert (space["type"], space["str_rep"], space["prepend_scheme"]) == ("Metaspace", "▁", scheme)
        assert space["add_prefix_space"] is (scheme == "always")


def test_the_table_is_read_as_sentencepiece_reads_it(both):
    processor, _ = both
    charsmap = ModelProto.FromString(processor.serialized_model_proto()).normalizer_spec.precompiled_charsmap
    table = normalizer.entries(charsmap)
    assert len(table) > 200_000
    plain = sentencepiece.SentencePieceNormalizer(
        model_proto=processor.serialized_model_proto(),
        add_dummy_prefix=False,
        escape_whitespaces=False,
        remove_extra_whitespaces=False,
    )
    for key in sorted(table)[::997]:
        assert plain.normalize(key) == table[key]


@pytest.mark.parametrize(
    ("words", "inside", "outside"),
    [(["ab", "abc", "xbc"], ["ab", "abc", "xbc"], ["a", "xb", "bc"]), (["\u1100\u1161"], ["\u1100\u1161"], ["\u1100"])],
)
def test_a_regular_expression_of_words_matches_them_and_nothing_else(words, inside, outside):
    import re

    pattern = re.compile(
        re.sub(r"\\x\{([0-9A-F]+)\}", lambda m: re.escape(chr(int(m[1], 16))), normalizer.regex(words))
    )
    assert all(pattern.fullmatch(word) for word in inside)
    assert not any(pattern.fullmatch(word) for word in outside)
