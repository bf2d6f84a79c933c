"""The figures of classification and tagging on random predictions, against the libraries and definitions by hand."""

import random
import warnings

import pytest
import seqeval.metrics
import sklearn.metrics
from hypothesis import given
from hypothesis import strategies as st

from ppa_plugin.evaluation.transfer.classify import scores
from ppa_plugin.evaluation.transfer.tag import ner_scores, pos_scores

TYPES = ("PER", "LOC", "ORG")
TAGS = ("O", *(f"{form}-{kind}" for kind in TYPES for form in "BI"))
UPOS = ("NOUN", "VERB", "PROPN", "PUNCT", "X", "INTJ", "ADJ")


def spans(tags):
    """Entities of BIO tags as CoNLL's script counts them: I- opens one where none of its type is open."""
    found, start, kind = set(), None, None
    for i, tag in enumerate([*tags, "O"]):
        goes_on = tag.startswith("I-") and tag[2:] == kind
        if kind is not None and not goes_on:
            found.add((kind, start, i))
            kind = None
        if tag != "O" and not goes_on:
            start, kind = i, tag[2:]
    return found


def span_f1(gold, predicted, kinds):
    """2 TP / (gold + predicted), over entities of these types."""
    pairs = [(spans(g), spans(p)) for g, p in zip(gold, predicted, strict=True)]
    hits = sum(span[0] in kinds for g, p in pairs for span in g & p)
    total = sum(span[0] in kinds for pair in pairs for side in pair for span in side)
    return 2 * hits / total if total else 0.0


def macro(gold, predicted, labels):
    """Mean over labels of 2 TP / (gold + predicted)."""
    f1s = []
    for label in labels:
        hits = sum(g == p == label for g, p in zip(gold, predicted, strict=True))
        f1s.append(2 * hits / (gold.count(label) + predicted.count(label)))
    return sum(f1s) / len(f1s)


def sentences(tags):
    return st.lists(
        st.lists(st.tuples(st.sampled_from(tags), st.sampled_from(tags)), min_size=1, max_size=12), min_size=1
    )


def sides(pairs):
    return [[g for g, _ in sentence] for sentence in pairs], [[p for _, p in sentence] for sentence in pairs]


@given(sentences(TAGS))
def test_ner_against_spans_counted_by_hand(pairs):
    gold, predicted = sides(pairs)
    kinds = {span[0] for side in (gold, predicted) for tags in side for span in spans(tags)}
    found = ner_scores(gold, predicted)
    assert found["span_micro_f1"] == pytest.approx(span_f1(gold, predicted, kinds))
    by_kind = [span_f1(gold, predicted, {kind}) for kind in kinds]
    assert found["span_macro_f1"] == pytest.approx(sum(by_kind) / len(by_kind) if by_kind else 0.0)


@given(sentences(UPOS))
def test_pos_against_the_libraries(pairs):
    gold, predicted = sides(pairs)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = seqeval.metrics.f1_score(gold, predicted)
    flat_gold, flat_predicted = ([tag for tags in side for tag in tags] for side in (gold, predicted))
    found = pos_scores(gold, predicted)
    assert list(found) == ["seqeval_f1", "token_accuracy", "token_macro_f1"]
    assert found["seqeval_f1"] == expected
    hits = sum(g == p for g, p in zip(flat_gold, flat_predicted, strict=True))
    assert found["token_accuracy"] == pytest.approx(hits / len(flat_gold))
    labels = sorted({*flat_gold, *flat_predicted})
    assert found["token_macro_f1"] == pytest.approx(macro(flat_gold, flat_predicted, labels))


@given(st.lists(st.tuples(st.sampled_from("abcdefg"), st.sampled_from("abcdefg")), min_size=1))
def test_classification_against_its_definition_and_scikit_learn(pairs):
    gold, predicted = [g for g, _ in pairs], [p for _, p in pairs]
    found = scores(gold, predicted)
    assert list(found) == ["macro_f1", "accuracy"]
    assert found["macro_f1"] == pytest.approx(macro(gold, predicted, sorted({*gold, *predicted})))
    assert found["macro_f1"] == sklearn.metrics.f1_score(gold, predicted, average="macro")
    assert found["accuracy"] == pytest.approx(sum(g == p for g, p in pairs) / len(pairs))


def test_ner_is_seqevals_default_on_a_large_sample():
    draw = random.Random(1)
    gold, predicted = ([[draw.choice(TAGS) for _ in range(20)] for _ in range(200)] for _ in range(2))
    found = ner_scores(gold, predicted)
    assert found["span_micro_f1"] == seqeval.metrics.f1_score(gold, predicted)
    assert found["span_macro_f1"] == seqeval.metrics.f1_score(gold, predicted, average="macro")
    assert found["span_micro_f1"] != found["span_macro_f1"]


def test_seqeval_on_parts_of_speech_is_no_accuracy_and_says_nothing(recwarn):
    """Equal neighbours merge: two of three words are right, but both runs that hold them are wrong."""
    found = pos_scores([["NOUN", "NOUN", "VERB"]], [["NOUN", "VERB", "VERB"]])
    assert found["token_accuracy"] == pytest.approx(2 / 3)
    assert found["seqeval_f1"] == 0.0
    assert not recwarn.list


def test_nothing_found_is_0_without_a_warning(recwarn):
    assert ner_scores([["O", "O"]], [["O", "O"]]) == {"span_micro_f1": 0.0, "span_macro_f1": 0.0}
    assert ner_scores([["O"]], [["B-PER"]]) == ner_scores([["B-PER"]], [["O"]])
    assert not recwarn.list
