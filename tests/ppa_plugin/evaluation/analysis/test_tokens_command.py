"""`ppa-evaluate tokens` end to end on the tiny model, against float64 NumPy and loops."""

import shutil
from importlib.metadata import version
from itertools import pairwise

import numpy as np
import pytest
import torch
from running import exit_code
from tiny_xlmr import tiny_config

from ppa_plugin.data.blocks import BlockAligner
from ppa_plugin.data.vocabulary import load_sentencepiece
from ppa_plugin.evaluation import cli
from ppa_plugin.evaluation.analysis.records import read_analysis
from ppa_plugin.evaluation.analysis.sentence_sample import draw_alone
from ppa_plugin.evaluation.encoder.loading import import_transformers
from ppa_plugin.evaluation.retrieval.readers import RetrievalSet
from ppa_plugin.files import sha256
from ppa_plugin.romanization.by_part import Romanization
from ppa_plugin.romanization.text_file import romanize_rows

# Greek and Persian; Swahili's romanization is written alike
LANGUAGES = ("ell_Grek", "fas_Arab", "swh_Latn")
GROUP = 3


class Ciphered:
    """A letter for every letter, others than uroman's, and which became which."""

    version = "2"

    def romanize(self, line, lang):
        return "".join(chr(ord("a") + ord(c) % 26) if c.isalpha() else c for c in line)

    def edges(self, line, lang):
        return [(1, letter) for letter in self.romanize(line, lang)]


class Silent(Ciphered):
    """Says nothing of edges."""

    edges = property()  # which is no attribute of any instance


CIPHERED, SILENT = f"{__name__}:Ciphered", f"{__name__}:Silent"


@pytest.fixture(scope="module")
def data(tmp_path_factory, sentences):
    """Ten made-up sentences in three languages, one of them without a letter."""
    directory = tmp_path_factory.mktemp("data")
    words = {"ell_Grek": sentences[1].split(), "fas_Arab": sentences[5].split(), "swh_Latn": ["mji", "mkuu", "wa"]}
    for language in LANGUAGES:
        for code, own in ((language, words[language]), ("eng_Latn", ["one", "two", "three"])):
            lines = [" ".join(own[(i * n + n) % len(own)] for i in range(3 + n % 3)) for n in range(9)] + ["1 , 2"]
            path = directory / f"bible.{language}-eng_Latn.{code}"
            path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return directory


def tokens(model, output, *flags) -> int:
    return exit_code(cli.main, "tokens", "--model", model, "--output", output, "--device", "cpu", *flags)


def of_bible(data, *flags):
    return ("--data", data, "--task", "bible", "--group", GROUP, *flags)


@pytest.fixture(scope="module")
def model(sentencepiece_path, tmp_path_factory):
    """A random XLM-R as Transformers draws it, whose vectors do not all point one way."""
    directory = tmp_path_factory.mktemp("model") / "tiny"
    entries = load_sentencepiece(sentencepiece_path).get_piece_size() + 2
    torch.manual_seed(1)
    config = tiny_config(entries)
    config.initializer_range = 0.3
    import_transformers().XLMRobertaForMaskedLM(config).save_pretrained(directory)
    shutil.copyfile(sentencepiece_path, directory / "sentencepiece.bpe.model")
    return directory


@pytest.fixture(scope="module")
def measured(model, data, tmp_path_factory):
    output = tmp_path_factory.mktemp("measured") / "analysis.jsonl"
    assert tokens(model, output, *of_bible(data, "--name", "mine", "--map", "fas_Arab")) == 0
    return read_analysis(output)


def hidden_states(network, processor, text) -> np.ndarray:
    """L x T x C in float64 of one sentence, without its <s> and </s>."""
    ids = [0, *(i + 1 if i else 3 for i in processor.encode(text)), 2]
    with torch.no_grad():
        states = network(torch.tensor([ids]), output_hidden_states=True).hidden_states
    return torch.stack(states)[:, 0, 1:-1].numpy()


@pytest.fixture(scope="module")
def double(model):
    """Transformers' own model in float64, and the SentencePiece model."""
    network = import_transformers().XLMRobertaModel.from_pretrained(model).double().eval()
    return network, load_sentencepiece(model / "sentencepiece.bpe.model")


def has_letter(pieces, ids) -> bool:
    """Whether a piece that is not <unk> has a letter."""
    return any(any(map(str.isalpha, piece)) for piece, number in zip(pieces, ids, strict=True) if number)


def reference_blocks(double, lines, romanizer="uroman") -> list[dict]:
    """Of each sentence that has blocks: vectors (L, B, C) and tokens of its blocks on either side."""
    network, processor = double
    rows = list(romanize_rows(lines, Romanization(romanizer, edges=True), workers=1))
    aligner = BlockAligner(processor)
    texts = [[row[0] for row in rows], [row[1] for row in rows]]
    blocks = aligner.blocks(aligner.encode(texts[0]), aligner.encode(texts[1]), [row[3] for row in rows]).of_pairs()
    found = []
    for orig, latn, of_pair in zip(*texts, blocks, strict=True):
        states = [hidden_states(network, processor, text) for text in (orig, latn)]
        pieces = [processor.encode(text, out_type=str) for text in (orig, latn)]
        ids = [processor.encode(text) for text in (orig, latn)]
        ends = [np.append(0, np.cumsum(of_pair[:, side])) for side in range(2)]
        runs = zip(*(pairwise(of_side.tolist()) for of_side in ends), strict=True)
        kept = [
            run
            for run in runs
            if all(has_letter(pieces[s][slice(*run[s])], ids[s][slice(*run[s])]) for s in range(2))
            and ids[0][slice(*run[0])] != ids[1][slice(*run[1])]
        ]
        if kept:
            vectors = [np.stack([states[s][:, slice(*run[s])].mean(1) for run in kept], 1) for s in range(2)]
            texts, shown = ([[of[s][slice(*run[s])] for run in kept] for s in range(2)] for of in (ids, pieces))
            found.append({"vectors": vectors, "texts": texts, "shown": shown})
    return found


def reference_shares(pairs, group) -> tuple[np.ndarray, np.ndarray, float, int]:
    """By layer the share found from orig and from latn, chance, and the number of blocks."""
    layers = len(pairs[0]["vectors"][0])
    hits, chance, number = np.zeros((2, layers)), 0.0, 0
    for first in range(0, len(pairs), group):
        members = pairs[first : first + group]
        vectors = [np.concatenate([pair["vectors"][side] for pair in members], axis=1) for side in range(2)]
        texts = [[text for pair in members for text in pair["texts"][side]] for side in range(2)]
        count = len(texts[0])
        number += count
        for i in range(count):
            rivals = [j for j in range(count) if texts[0][j] != texts[0][i] and texts[1][j] != texts[1][i]]
            chance += 1 / (1 + len(rivals))
            for side in range(2):
                for layer in range(layers):
                    anchor, others = vectors[side][layer, i], vectors[1 - side][layer]
                    cosine = others @ anchor / np.linalg.norm(others, axis=1) / np.linalg.norm(anchor)
                    hits[side, layer] += all(cosine[i] > cosine[j] for j in rivals)
    return hits[0] / number, hits[1] / number, chance / number, number


@pytest.mark.parametrize("language", ["ell_Grek", "fas_Arab"])
def test_figures_are_those_of_float64_and_loops(measured, data, double, language):
    sample, digest = draw_alone(RetrievalSet(data, "bible"), language, 200, seed=42)
    pairs = reference_blocks(double, sample.sentences)
    from_orig, from_latn, chance, blocks = reference_shares(pairs, GROUP)
    records = [entry for entry in measured if entry["kind"] == "tokens" and entry["language"] == language]
    assert [entry["layer"] for entry in records] == [0, 1, 2, 3]
    np.testing.assert_allclose([entry["from_orig"] for entry in records], from_orig, rtol=1e-9)
    np.testing.assert_allclose([entry["from_latn"] for entry in records], from_latn, rtol=1e-9)
    np.testing.assert_allclose([entry["accuracy"] for entry in records], (from_orig + from_latn) / 2, rtol=1e-9)
    assert 0 < min(from_orig.min(), from_latn.min()) < max(from_orig.max(), from_latn.max()) < 1
    for entry in records:
        assert entry["chance"] == pytest.approx(chance, rel=1e-6)
        assert (entry["blocks"], entry["pairs"], entry["pairs_without"]) == (blocks, len(pairs), 10 - len(pairs))
        assert (entry["model"], entry["task"], entry["group"], entry["seed"]) == ("mine", "bible", GROUP, 42)
        assert (entry["romanizer"], entry["depth"]) == (f"uroman {version('uroman')}", 3)
        assert entry["data_sha256"] == digest


def test_the_map_is_of_one_sentence_and_its_cosines(measured, data, double):
    (entry,) = [entry for entry in measured if entry["kind"] == "token_map"]
    assert (entry["language"], entry["layer"]) == ("fas_Arab", 2)
    sentence = RetrievalSet(data, "bible").pair("fas_Arab", "eng_Latn").queries.sentences[entry["number"]]
    (pair,) = reference_blocks(double, [sentence])
    one, other = (vectors[2] / np.linalg.norm(vectors[2], axis=1)[:, None] for vectors in pair["vectors"])
    np.testing.assert_allclose(entry["cosines"], one @ other.T, atol=6e-7)
    shown = [["".join(block).replace("▁", " ").strip() for block in of_side] for of_side in pair["shown"]]
    assert [entry["orig"], entry["latn"]] == shown


def test_each_language_has_its_own_romanizer_and_records_name_all(measured, model, data, double, tmp_path):
    output = tmp_path / "analysis.jsonl"
    languages = ("--languages", "ell_Grek,fas_Arab", "--romanizer", f"ell_Grek={CIPHERED}", "--map", "ell_Grek")
    assert tokens(model, output, *of_bible(data, "--name", "mine", *languages)) == 0
    *records, shown = read_analysis(output)
    said = f"ell_Grek: {CIPHERED} 2; others: uroman {version('uroman')}"
    assert {entry["romanizer"] for entry in (*records, shown)} == {said}
    # Persian as without the flag, but for what the records say
    theirs = [entry for entry in measured if entry["kind"] == "tokens" and entry["language"] == "fas_Arab"]
    assert [entry | {"romanizer": said} for entry in theirs] == [e for e in records if e["language"] == "fas_Arab"]
    sample, _ = draw_alone(RetrievalSet(data, "bible"), "ell_Grek", 200, seed=42)
    from_orig, from_latn, _, blocks = reference_shares(reference_blocks(double, sample.sentences, CIPHERED), GROUP)
    greek = [entry for entry in records if entry["language"] == "ell_Grek"]
    np.testing.assert_allclose([entry["from_orig"] for entry in greek], from_orig, rtol=1e-9)
    np.testing.assert_allclose([entry["from_latn"] for entry in greek], from_latn, rtol=1e-9)
    assert {entry["blocks"] for entry in greek} == {blocks}
    sentence = RetrievalSet(data, "bible").pair("ell_Grek", "eng_Latn").queries.sentences[shown["number"]]
    latn = Ciphered().romanize(sentence, None)
    assert all(block in latn for block in shown["latn"])
    others = [e["from_latn"] for e in measured if e["kind"] == "tokens" and e["language"] == "ell_Grek"]
    assert [e["from_latn"] for e in greek] != others


def test_a_romanizer_without_edges_has_no_blocks(model, data, tmp_path, capsys):
    output = tmp_path / "analysis.jsonl"
    flags = ("--languages", "ell_Grek,fas_Arab", "--layers", "1", "--map-layer", "1")
    assert tokens(model, output, *of_bible(data, *flags, "--romanizer", f"ell_Grek={SILENT}")) == 0
    reason = f"no blocks in ell_Grek: {SILENT} does not say which characters became which letters"
    assert f"note: {reason}\n" in capsys.readouterr().err
    assert {entry["language"] for entry in read_analysis(output)} == {"fas_Arab"}
    for romanizer, map_of, says in (
        (SILENT, (), "no blocks in ell_Grek, fas_Arab: "),
        (f"ell_Grek={SILENT}", ("--map", "ell_Grek"), "--map ell_Grek: it is none of the languages measured, fas_Arab"),
        ("kor_Hang=uroman", (), f"a romanizer is named for kor_Hang, of which {data} has no text; found: ell_Grek, "),
    ):
        assert tokens(model, tmp_path / "no.jsonl", *of_bible(data, *flags, *map_of, "--romanizer", romanizer)) == 2
        assert says in capsys.readouterr().err
    assert not (tmp_path / "no.jsonl").exists()


def test_languages_alone_or_together_and_batches_give_the_same(measured, model, data, tmp_path, capsys):
    output = tmp_path / "analysis.jsonl"
    flags = of_bible(data, "--name", "mine", "--languages", "fas_Arab", "--layers", "3,1", "--map-layer", 1)
    assert tokens(model, output, *flags, "--batch-size", 1) == 0
    *records, shown = read_analysis(output)
    expected = {e["layer"]: e for e in measured if e["kind"] == "tokens" and e["language"] == "fas_Arab"}
    assert records == [expected[1], expected[3]]
    assert (shown["kind"], shown["language"], shown["layer"]) == ("token_map", "fas_Arab", 1)
    title, head, row = capsys.readouterr().out.splitlines()
    assert title.startswith("mine: bible, 3 layers; how often a block of tokens finds its romanization")
    assert head.split() == ["language", "pairs", "without", "blocks", "chance", "1", "3"]
    assert row.split()[:4] == ["fas_Arab", "9", "1", str(expected[1]["blocks"])]
    assert row.split()[5:] == [f"{100 * expected[layer]['accuracy']:.1f}" for layer in (1, 3)]


def test_languages_written_alike_are_named(model, data, tmp_path, capsys):
    output = tmp_path / "analysis.jsonl"
    assert tokens(model, output, *of_bible(data)) == 0
    out = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in out[1:]] == ["language", "ell_Grek", "fas_Arab", "mean", "note:"]
    assert out[-1] == "note: without a block, as text whose romanization is written alike: swh_Latn"
    assert {entry["language"] for entry in read_analysis(output)} == {"ell_Grek", "fas_Arab"}
    (shown,) = [entry for entry in read_analysis(output) if entry["kind"] == "token_map"]
    assert shown["language"] == "ell_Grek"
    output.unlink()
    assert tokens(model, output, *of_bible(data, "--languages", "eng_Latn,swh_Latn")) == 2
    assert "no block of tokens in the bible text in eng_Latn, swh_Latn; its romanization is" in capsys.readouterr().err
    assert not output.exists()


@pytest.fixture
def parallel(tmp_path):
    """Four lines of two columns with links: two words to one, a word to none, equal words in two lines, no link."""
    rows = [
        ("one two three", "ένα δύο τρία", "0-0 1-1 2-2 0-1"),
        ("two four", "δύο τέσσερα πέντε", "0-0 1-1"),
        ("six", "έξι", ""),
        ("seven eight two", "επτά οκτώ δύο", "0-0 1-1 2-2"),
    ]
    text, links = tmp_path / "text.tsv", tmp_path / "links"
    text.write_text("".join(f"{a}\t{b}\n" for a, b, _ in rows), encoding="utf-8")
    links.write_text("".join(f"{of_line}\n" for *_, of_line in rows))
    return text, links, rows


def of_parallel(parallel, *flags):
    return ("--parallel", parallel[0], "--alignments", parallel[1], "--languages", "eng_Latn,ell_Grek", *flags)


def reference_words(double, rows) -> tuple[list[np.ndarray], list[float], list[int]]:
    """By direction: the share found at each layer, chance, and the number of words; all lines one group."""
    network, processor = double
    words, vectors, linked = ([], []), ([], []), set()
    for source, target, links in rows:
        first = len(words[0]), len(words[1])
        for side, text in enumerate((source, target)):
            states, ends = hidden_states(network, processor, text), 0
            for word in text.split():
                start, ends = ends, ends + len(processor.encode(word))
                words[side].append(word)
                vectors[side].append(states[:, start:ends].mean(1))
            assert ends == states.shape[1]
        linked |= {tuple(int(n) + at for n, at in zip(link.split("-"), first, strict=True)) for link in links.split()}
    shares, chances, counts = [], [], []
    for side in range(2):
        pairs = linked if side == 0 else {(j, i) for i, j in linked}
        anchors, others = words[side], words[1 - side]
        hits, chance, count = np.zeros(4), 0.0, 0
        for i, anchor in enumerate(anchors):
            right = {j for a, j in pairs if a == i}
            if not right:
                continue
            twins = {j for a, j in pairs if anchors[a] == anchor}
            wrong = [j for j, o in enumerate(others) if j not in right | twins and o not in {others[r] for r in right}]
            count, chance = count + 1, chance + len(right) / (len(right) + len(wrong))
            for layer in range(4):
                one = vectors[side][i][layer]
                cosine = [v[layer] @ one / np.linalg.norm(v[layer]) / np.linalg.norm(one) for v in vectors[1 - side]]
                hits[layer] += max(cosine[j] for j in right) > max(cosine[j] for j in wrong)
        shares.append(hits / count)
        chances.append(chance / count)
        counts.append(count)
    return shares, chances, counts


def test_words_are_those_of_float64_and_loops(model, double, parallel, tmp_path, capsys):
    output = tmp_path / "analysis.jsonl"
    assert tokens(model, output, *of_parallel(parallel)) == 0
    records = read_analysis(output)
    (from_source, from_target), chances, counts = reference_words(double, [row for row in parallel[2] if row[2]])
    assert [entry["layer"] for entry in records] == [0, 1, 2, 3]
    np.testing.assert_allclose([entry["from_source"] for entry in records], from_source, rtol=1e-9)
    np.testing.assert_allclose([entry["from_target"] for entry in records], from_target, rtol=1e-9)
    np.testing.assert_allclose([e["accuracy"] for e in records], (from_source + from_target) / 2, rtol=1e-9)
    for entry in records:
        assert entry["chance"] == pytest.approx(sum(chances) / 2, rel=1e-6)
        assert [entry["source_words"], entry["target_words"]] == counts == [8, 8]
        assert (entry["source_left_out"], entry["target_left_out"]) == (1, 2)
        assert (entry["lines"], entry["lines_without"]) == (3, 1)
        assert (entry["source"], entry["target"], entry["kind"]) == ("eng_Latn", "ell_Grek", "words")
        assert entry["data_sha256"] == sha256(*parallel[:2])
    out = capsys.readouterr().out
    assert out.splitlines()[1].split() == ["layer", "both", "from", "eng_Latn", "from", "ell_Grek"]
    assert "8 of ell_Grek; left out, as they are linked to none that the model reads: 1 and 2" in out


@pytest.mark.parametrize(
    ("text", "links", "says"),
    [
        (
            "a b\tc\n",
            "0-0\n1-0\n",
            "{text} has 1 lines and {links} has 2; line i of {links} has to be the word alignment of line i of {text}",
        ),
        ("a\tb\nc\td\n", "0-0\n", "{text} has 2 lines and {links} has 1; line i of"),
        ("a b c\n", "0-0\n", "{text}, line 1: 1 columns, expected two: a sentence, a tab, its translation"),
        ("a\tb\n1\ta\tb\n", "0-0\n\n", "{text}, line 2: 3 columns"),
        ("a\tb\n", "0-0 0:0\n", "{links}, line 1: '0:0' is no link of words such as 0-2, numbered from 0"),
        ("a\tb\n", "0--1\n", "{links}, line 1: '0--1' is no link"),
        ("a b\tc d\n", "1-1 1-2\n", "{links}, line 1: 1-2 links word 2 of the target, which has 2 words, numbered"),
        ("a b\tc d\n", "2-0\n", "{links}, line 1: 2-0 links word 2 of the source, which has 2 words"),
        ("a b\tc d\n", "\n", "{links}: no word that the model reads is linked in the 1 lines drawn"),
        ("", "", "{text} is empty"),
    ],
)
def test_bad_parallel_text_is_one_sentence(model, tmp_path, capsys, text, links, says):
    paths = {"text": tmp_path / "text.tsv", "links": tmp_path / "links"}
    paths["text"].write_text(text)
    paths["links"].write_text(links)
    output = tmp_path / "analysis.jsonl"
    assert tokens(model, output, *of_parallel((paths["text"], paths["links"]))) == 2
    error = capsys.readouterr().err
    assert says.format(**paths) in error
    assert error.count("\n") == 1
    assert not output.exists()


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (("--layers", "0,4"), "has 3 layers, there is no layer 4"),
        (("--map-layer", "9"), "has 3 layers, there is no layer 9"),
        (("--languages", "kor_Hang"), "has no bible text in kor_Hang; found: "),
        (("--map", "heb_Hebr"), "--map heb_Hebr: it is none of the languages measured, ell_Grek, fas_Arab, swh_Latn"),
    ],
)
def test_bad_usage_is_one_sentence_and_writes_nothing(model, data, tmp_path, capsys, flags, says):
    output = tmp_path / "analysis.jsonl"
    assert tokens(model, output, *of_bible(data, *flags)) == 2
    error = capsys.readouterr().err
    assert says in error
    assert error.count("\n") == 1
    assert not output.exists()


def test_a_model_without_sentencepiece_has_no_blocks(model, data, tmp_path, capsys):
    copy = shutil.copytree(model, tmp_path / "other")
    tokenizer = import_transformers().AutoTokenizer.from_pretrained(copy)
    tokenizer.save_pretrained(copy)
    (copy / "sentencepiece.bpe.model").unlink(missing_ok=True)
    assert (copy / "tokenizer.json").is_file()
    assert tokens(copy, tmp_path / "analysis.jsonl", *of_bible(data)) == 2
    assert f"{copy}: tokens are measured with the sentencepiece.bpe.model of an XLM-R" in capsys.readouterr().err
