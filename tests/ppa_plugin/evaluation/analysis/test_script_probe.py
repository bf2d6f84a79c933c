"""The probe of scripts, the sentences that it is given, and the projection, each against an independent reference."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import PredefinedSplit, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from ppa_plugin.commandline import UserError
from ppa_plugin.evaluation.analysis.probe import FOLDS, Balanced, accuracy, balance, folds_of
from ppa_plugin.evaluation.analysis.script_barrier import principal_components
from ppa_plugin.evaluation.analysis.sentence_sample import Sample, draw
from ppa_plugin.evaluation.retrieval.readers import RetrievalSet


def balanced(numbers, scripts) -> Balanced:
    return Balanced(np.arange(len(numbers)), np.array(scripts), np.array(numbers))


def parallel(count, *scripts) -> Balanced:
    """Every number once a script."""
    return balanced(list(range(count)) * len(scripts), [script for script in scripts for _ in range(count)])


def test_scripts_that_lie_apart_are_always_told_apart():
    generator = np.random.default_rng(0)
    chosen = parallel(40, "Arab", "Grek", "Latn")
    centres = {"Arab": (20, 0), "Grek": (0, 20), "Latn": (-20, -20)}
    vectors = np.array([centres[script] for script in chosen.scripts]) + generator.normal(size=(120, 2))
    found = accuracy(vectors, chosen, seed=1)
    assert found.accuracy == 1
    assert found.by_script == {"Arab": 1, "Grek": 1, "Latn": 1}
    assert found.converged


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_scripts_of_one_distribution_are_told_apart_no_better_than_by_chance(seed):
    """400 vectors, chance 1/2: four standard deviations of a binomial are 0.1."""
    chosen = parallel(200, "Arab", "Latn")
    vectors = np.random.default_rng(seed).normal(size=(400, 8))
    found = accuracy(vectors, chosen, seed=seed)
    assert abs(found.accuracy - chosen.chance) <= 4 * (0.5 * 0.5 / 400) ** 0.5


def test_knowing_a_sentence_is_no_help():
    """Equal vectors for equal numbers: a probe that saw the twin of a held-out vector would be right on all."""
    generator = np.random.default_rng(0)
    numbers = np.repeat(np.arange(100), 2)
    script_of_number = np.where(generator.permutation(100) < 50, "Arab", "Latn")
    vectors = generator.normal(size=(100, 400))[numbers]
    scripts = script_of_number[numbers]
    mixed = cross_val_predict(
        LogisticRegression(max_iter=1000), vectors, scripts, cv=PredefinedSplit(np.arange(200) % 2)
    )
    assert (mixed == scripts).mean() > 0.99
    found = accuracy(vectors, balanced(numbers, scripts), seed=1)
    assert abs(found.accuracy - 0.5) <= 4 * (0.5 * 0.5 / 100) ** 0.5  # 100 independent numbers


def test_agrees_with_scikit_learns_cross_validation():
    generator = np.random.default_rng(3)
    chosen = parallel(60, "Arab", "Grek", "Latn")
    vectors = generator.normal(size=(180, 6)) * [1, 10, 100, 1, 1, 0] + (chosen.scripts == "Arab")[:, None]
    folds = PredefinedSplit(folds_of(chosen.numbers, FOLDS, seed=5))
    probe = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    predicted = cross_val_predict(probe, vectors, chosen.scripts, cv=folds)
    found = accuracy(vectors, chosen, seed=5)
    assert found.accuracy == (predicted == chosen.scripts).mean()
    for script, share in found.by_script.items():
        assert share == (predicted == chosen.scripts)[chosen.scripts == script].mean()


def test_too_few_sentences():
    with pytest.raises(
        UserError, match="4 sentences a script are too few to cross-validate in 5 folds; raise --sentences"
    ):
        accuracy(np.zeros((8, 2)), parallel(4, "Arab", "Latn"), seed=1)
    with pytest.raises(UserError, match="1 sentences a script are too few"):
        accuracy(np.zeros((6, 2)), balanced(list(range(6)), ["Arab"] * 5 + ["Latn"]), seed=1)


@given(st.lists(st.integers(0, 60), min_size=1), st.integers(2, 7), st.integers(0, 2**32 - 1))
def test_folds_never_part_a_sentence_and_are_of_like_size(numbers, folds, seed):
    found = folds_of(np.array(numbers), folds, seed)
    assert found.shape == (len(numbers),)
    fold_of = dict(zip(numbers, found.tolist(), strict=True))
    assert [fold_of[number] for number in numbers] == found.tolist()
    sizes = np.bincount(list(fold_of.values()), minlength=folds)
    assert len(sizes) == folds
    assert sizes.max() - sizes.min() <= 1
    assert (found == folds_of(np.array(numbers), folds, seed)).all()


def test_folds_are_drawn_by_the_seed():
    assert (folds_of(np.arange(50), 5, 1) != folds_of(np.arange(50), 5, 2)).any()


@st.composite
def _samples(draw_from):
    """Samples in one random order of numbers, as `draw` gives them."""
    order = draw_from(st.permutations(range(12)))
    languages = ["arb_Arab", "fas_Arab", "arz_Arab", "ell_Grek", "eng_Latn", "tur_Latn"]
    chosen = draw_from(st.lists(st.sampled_from(languages), min_size=1, unique=True))
    samples = []
    for language in chosen:
        has = draw_from(st.sets(st.sampled_from(order), min_size=1))
        numbers = tuple(number for number in order if number in has)
        samples.append(Sample(language, numbers, tuple(f"{language} {number}" for number in numbers)))
    return samples


@given(_samples())
def test_every_script_gives_as_many_vectors_and_each_number_once(samples):
    found = balance(samples)
    place = [(sample.script, number) for sample in samples for number in sample.numbers]
    given_by_script = {}
    for row, script, number in zip(found.rows, found.scripts, found.numbers, strict=True):
        assert place[row] == (script, number)
        given_by_script.setdefault(str(script), []).append(number)
    having = {}
    for script, number in place:
        having.setdefault(script, set()).add(number)
    fewest = min(map(len, having.values()))
    assert found.counts == dict.fromkeys(sorted(having), fewest)
    assert all(len(set(numbers)) == fewest for numbers in given_by_script.values())
    assert found.chance == 1 / len(having)


def test_languages_of_a_script_take_turns_over_the_same_sentences():
    numbers = (3, 0, 2, 1, 5, 4)
    texts = ("",) * 6
    found = balance([Sample(language, numbers, texts) for language in ("arb_Arab", "fas_Arab", "ell_Grek", "arz_Arab")])
    arab, greek = (found.rows[found.scripts == script] for script in ("Arab", "Grek"))
    assert found.numbers.tolist() == [*numbers, *numbers]
    assert greek.tolist() == list(range(12, 18))
    assert np.bincount(arab // 6, minlength=4).tolist() == [2, 2, 0, 2]


@pytest.fixture
def bible(tmp_path):
    """20 verses in three languages and English; the third one is missing in Greek."""
    for language in ("arb_Arab", "ell_Grek", "tur_Latn"):
        lines = ["" if (language, i) == ("ell_Grek", 2) else f"{language} {i}" for i in range(20)]
        (tmp_path / f"bible.{language}-eng_Latn.{language}").write_text("".join(f"{line}\n" for line in lines))
        (tmp_path / f"bible.{language}-eng_Latn.eng_Latn").write_text("".join(f"{i} eng_Latn\n" for i in range(20)))
    return tmp_path


def test_all_languages_give_the_same_sentences(bible):
    languages = ["arb_Arab", "ell_Grek", "eng_Latn", "tur_Latn"]
    samples, digest = draw(RetrievalSet(bible, "bible"), languages, 8, seed=1)
    assert [sample.language for sample in samples] == languages
    assert [sample.script for sample in samples] == ["Arab", "Grek", "Latn", "Latn"]
    arab, greek, english, turkish = samples
    assert len(arab.numbers) == len(greek.numbers) == 8
    assert arab.numbers == english.numbers == turkish.numbers
    assert 2 not in greek.numbers
    assert arab.sentences == tuple(f"arb_Arab {number}" for number in arab.numbers)
    assert english.sentences == tuple(f"{number} eng_Latn" for number in english.numbers)
    assert draw(RetrievalSet(bible, "bible"), languages, 8, seed=1) == (samples, digest)
    others, same = draw(RetrievalSet(bible, "bible"), languages, 8, seed=2)
    assert others[0].numbers != arab.numbers
    assert same == digest
    whole, _ = draw(RetrievalSet(bible, "bible"), languages, 500, seed=1)
    assert sorted(whole[1].numbers) == [i for i in range(20) if i != 2]


def test_a_changed_text_changes_the_hash(bible):
    languages = ["arb_Arab", "ell_Grek"]
    _, before = draw(RetrievalSet(bible, "bible"), languages, 8, seed=1)
    with open(bible / "bible.ell_Grek-eng_Latn.ell_Grek", "r+") as handle:
        handle.write("E")
    _, after = draw(RetrievalSet(bible, "bible"), languages, 8, seed=1)
    assert before != after


def test_tatoebas_sentences_are_known_by_their_english(tmp_path):
    files = {"ell": ["α", "β", "γ", "β2"], "heb": ["ג", "ד", "א", "ה"]}
    english = {"ell": ["one", "two", "three", "two"], "heb": ["three", "four", "one", "five"]}
    for code, lines in files.items():
        (tmp_path / f"tatoeba.{code}-eng.{code}").write_text("".join(f"{line}\n" for line in lines))
        (tmp_path / f"tatoeba.{code}-eng.eng").write_text("".join(f"{line}\n" for line in english[code]))
    samples, _ = draw(RetrievalSet(tmp_path, "tatoeba"), ["ell_Grek", "eng_Latn", "heb_Hebr"], 100, seed=1)
    greek, latin, hebrew = (dict(zip(sample.sentences, sample.numbers, strict=True)) for sample in samples)
    assert set(greek) == {"α", "β", "γ"}  # the first of two translations
    assert set(latin) == {"one", "two", "three", "four", "five"}
    assert greek["α"] == latin["one"] == hebrew["א"]
    assert greek["γ"] == latin["three"] == hebrew["ג"]
    assert len(set(latin.values())) == 5


@pytest.mark.parametrize(
    ("languages", "spoil", "says"),
    [
        (["eng_Latn", "kor_Hang"], None, "has no bible text in kor_Hang; found: arb_Arab, "),
        (["arb_Arab", "tur_Latn"], "\n" * 20, "the bible text in arb_Arab is empty"),
        (["arb_Arab", "tur_Latn"], "a\n" * 19, "has 19 lines and "),
        (["arb_Arab", "tur_Latn"], "", "arb_Arab is empty"),
    ],
)
def test_bad_sets_are_one_sentence(bible, languages, spoil, says):
    if spoil is not None:
        (bible / "bible.arb_Arab-eng_Latn.arb_Arab").write_text(spoil)
    with pytest.raises(UserError) as raised:
        draw(RetrievalSet(bible, "bible"), languages, 8, seed=1)
    assert says in str(raised.value)
    assert "\n" not in str(raised.value)


def test_languages_of_different_length(bible):
    for name in ("arb_Arab", "eng_Latn"):
        (bible / f"bible.arb_Arab-eng_Latn.{name}").write_text("a\n" * 19)
    with pytest.raises(UserError, match=r"has 19 lines and .* has 20; line i has to be the same sent"):
        draw(RetrievalSet(bible, "bible"), ["arb_Arab", "tur_Latn"], 8, seed=1)


@given(st.integers(0, 2**32 - 1), st.integers(3, 30), st.integers(2, 12))
def test_projection_is_that_of_the_eigenvectors_of_the_covariance(seed, count, width):
    generator = np.random.default_rng(seed)
    vectors = generator.normal(size=(count, width)) * np.geomspace(8, 1, width) + 5
    points, shares = principal_components(vectors.astype(np.float32))
    values, eigenvectors = np.linalg.eigh(np.cov(vectors.astype(np.float32).astype(np.float64).T))
    centred = vectors - vectors.mean(axis=0)
    assert points.shape == (count, 2)
    np.testing.assert_allclose(shares, values[::-1][:2] / values.sum(), atol=1e-5)
    for k in range(2):
        around = values[::-1][max(k - 1, 0) : k + 2]
        if any(one - other < 1e-2 * values[-1] for one, other in pairwise(around)):
            continue  # of nearly equal values the vectors are free
        vector = eigenvectors[:, -1 - k]
        order = np.sort(np.abs(vector))
        if order[-1] - order[-2] < 1e-4:
            continue  # which loading is the largest is a matter of rounding
        vector = vector * np.sign(vector[np.abs(vector).argmax()])
        np.testing.assert_allclose(points[:, k], centred @ vector, atol=1e-3)


def test_projection_of_equal_vectors():
    points, shares = principal_components(np.ones((5, 3), dtype=np.float32))
    assert not points.any()
    assert shares == [0, 0]
