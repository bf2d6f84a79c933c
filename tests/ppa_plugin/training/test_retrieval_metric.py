"""The metric that training selects checkpoints by equals what ppa-evaluate measures on the converted model."""

import pytest

from ppa_plugin.evaluation.encoder.sentence_encoder import SentenceEncoder
from ppa_plugin.evaluation.retrieval.top_k import top_k_accuracy
from ppa_plugin.training.retrieval_metric import RetrievalMetric


@pytest.fixture
def tatoeba(tmp_path, sentences):
    """Two languages beside English, under both naming schemes, with sentences of very different lengths."""
    sides = {
        "tatoeba.ell-eng.ell": sentences,
        "tatoeba.ell-eng.eng": [s[:9] for s in sentences],
        "tatoeba.fas_Arab-eng_Latn.fas_Arab": [f"{s} {s}" for s in sentences[:12]],
        "tatoeba.fas_Arab-eng_Latn.eng_Latn": [s[-7:] for s in sentences[:12]],
    }
    for name, lines in sides.items():
        (tmp_path / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return tmp_path, sides


@pytest.mark.parametrize("training", [True, False])
def test_equals_the_evaluation_of_the_converted_model(
    tatoeba, tiny_model, tiny_hf_directory, sentencepiece_path, training, monkeypatch
):
    directory, sides = tatoeba
    monkeypatch.setattr("ppa_plugin.training.retrieval_metric._TOKENS_A_FORWARD", 150)  # several forwards a language
    tiny_model.train(training)
    found = RetrievalMetric(directory, sentencepiece_path, 512)(tiny_model)

    encoder = SentenceEncoder(tiny_hf_directory)
    vectors = {name: encoder.encode(lines) for name, lines in sides.items()}
    ell, fas = (
        top_k_accuracy(vectors[f"tatoeba.{pair}.{english}"], vectors[f"tatoeba.{pair}.{other}"])[10]
        for pair, english, other in [("ell-eng", "eng", "ell"), ("fas_Arab-eng_Latn", "eng_Latn", "fas_Arab")]
    )
    assert ell != fas
    assert found == pytest.approx((ell + fas) / 2)
    assert tiny_model.training == training
