"""The miniature's settings, models and tables; a run takes an hour and is not made here."""

import importlib.util
import statistics
import sys
from pathlib import Path

import pytest
import yaml
from made_up_results import result

from ppa_plugin.evaluation.results import append_results

FOLDER = Path(__file__).parents[2] / "examples" / "miniature"


@pytest.fixture(scope="module")
def miniature():
    sys.path.insert(0, str(FOLDER))
    try:
        spec = importlib.util.spec_from_file_location("miniature", FOLDER / "miniature.py")
        module = importlib.util.module_from_spec(spec)
        sys.modules["miniature"] = module
        spec.loader.exec_module(module)
        yield module
    finally:
        sys.path.remove(str(FOLDER))
        sys.modules.pop("miniature")
        sys.modules.pop("group_shards")


@pytest.fixture
def commands(miniature, monkeypatch):
    """What the miniature would run, in place of running it."""
    ran = []
    for module in (miniature, sys.modules["group_shards"]):
        monkeypatch.setattr(module, "run", lambda _log, *command, **_more: ran.append([*map(str, command)]))
    return ran


def settings(miniature, *flags):
    return miniature.chosen(miniature._parser().parse_args(["--data", "d", *flags]))


def test_flags_change_what_they_name_and_nothing_else(miniature):
    plain = settings(miniature)
    assert plain == miniature.Settings()
    assert plain.variants == ("MLM", "MLM+SEQ", "MLM+TLM", "MLM+SEQ+TLM")
    full = settings(miniature, "--full", "--seeds", "4,5")
    assert full == miniature.replace(miniature.FULL, seeds=(4, 5))
    assert (full.size, len(full.groups), full.tasks[-1]) == ("small", 2, "ner")


@pytest.mark.parametrize("flags", [("--groups", "indic"), ("--variants", "MLM;SQE")])
def test_an_unknown_name_is_one_sentence(miniature, flags):
    with pytest.raises(SystemExit, match=r"error: (indic|SQE) is none of mediterranean_amharic_farsi, "):
        settings(miniature, *flags)


def test_other_settings_need_another_output(miniature, tmp_path):
    miniature.keep_settings(tmp_path, miniature.Settings())
    miniature.keep_settings(tmp_path, miniature.Settings(seeds=(2, 3), variants=("MLM",)))
    with pytest.raises(SystemExit, match="give another --output"):
        miniature.keep_settings(tmp_path, miniature.Settings(updates=1))


@pytest.mark.parametrize(("variants", "expected"), [(("MLM", "SEQ"), False), (("MLM", "MLM+SEQ+TOK, l2"), True)])
def test_blocks_are_made_where_a_variant_trains_on_them(miniature, commands, tmp_path, variants, expected):
    corpus = tmp_path / "data" / "corpus" / "g"
    corpus.mkdir(parents=True)
    (corpus / "ell_Grek.txt").write_text("ένα\n", encoding="utf-8")
    chosen = miniature.Settings(variants=variants)
    miniature.post_train(tmp_path, tmp_path / "data", "g", chosen, ("--cpu",), jobs=1)
    assert yaml.safe_load((tmp_path / "g.yaml").read_text())["alignment"] is expected
    weights = [c[c.index("--tok-weight") + 1] if "--tok-weight" in c else None for c in commands if "--optimizer" in c]
    assert weights == ([None, "1"] if expected else [None, None])


def test_a_shuffled_variant_differs_in_the_pairs_alone(miniature):
    every = miniature.VARIANTS | miniature.EXTENSIONS
    controls = [name for name in every if name.endswith(", shuffled")]
    assert controls == ["SEQ, shuffled", "MLM+SEQ+TLM, shuffled"]
    for name in controls:
        assert every[name] == (*every[name.removesuffix(", shuffled")], "--shuffle-pairs")
        assert (name in miniature.WITHOUT_MLM) == (name.removesuffix(", shuffled") in miniature.WITHOUT_MLM)
    assert sum("--shuffle-pairs" in flags for flags in every.values()) == len(controls)


def test_tables_are_means_over_targets_and_deviations_over_seeds(miniature, tmp_path):
    values = {1: (0.1, 0.3), 2: (0.2, 0.6), 3: (0.4, 0.2)}
    made = [
        result(model=f"g/MLM/seed{seed}", task="bible", source="eng_Latn", target=target, metric="top10", value=value)
        for seed, both in values.items()
        for target, value in zip(("ell_Grek", "heb_Hebr"), both, strict=True)
    ]
    base = [
        result(model="base", task="bible", source="eng_Latn", target=target, metric="top10", value=0.05)
        for target in ("ell_Grek", "heb_Hebr", "kor_Hang")  # the last is of another group
    ]
    other = [result(model="g/MLM/seed1", task="bible", source="eng_Latn", target="ell_Grek", metric="top1", value=0.9)]
    append_results(tmp_path / "results.jsonl", [*made, *base, *other])
    text = miniature.tables.markdown(tmp_path / "results.jsonl", ["g"], ["MLM", "MLM+SEQ"])
    means = [100 * statistics.mean(both) for both in values.values()]
    assert f"| MLM | {statistics.mean(means):.1f} ± {statistics.stdev(means):.1f} |" in text
    assert "| base | 5.0 |" in text
    assert "| MLM+SEQ | – |" in text


def test_a_given_encoder_has_its_gains_and_layers_too(miniature, tmp_path):
    pairs = [("fas_Arab", "arb_Arab"), *(("fas_Arab", f"{name}_Grek") for name in "abcdefgh")]
    values = {
        "encoder": 0.5,
        "base": 0.3,
        "g/MLM/seed1": 0.2,
        "g/MLM/seed2": 0.3,
        "g/SEQ/seed1": 0.4,
        "g/SEQ/seed2": 0.6,
    }
    made = [
        result(
            **{"model": model, "task": "bible", "source": source, "target": target, "metric": "top10"},
            **{"layer": layer, "value": value / 2 if layer == 0 else value + 0.1 * (target == "arb_Arab")},
        )
        for model, value in values.items()
        for source, target in pairs
        for layer in (0, 8)
    ]
    append_results(tmp_path / "results.jsonl", made)
    text = miniature.tables.markdown(tmp_path / "results.jsonl", ["g"], ["MLM", "SEQ"], layer=8)
    assert "| encoder | 51.1 |" in text  # eight of 50, one of 60
    assert "| SEQ | +20.0‡ | +25.0‡ |" in text
    assert "| MLM | -5.0 | – |" in text  # one of two seeds is as the base is
    two, one = text.split("source and target in one script")
    assert "| base | 15.0 | 30.0 |" in two
    assert "| SEQ | 25.0 ± 7.1 | 50.0 ± 14.1 |" in two
    assert "| SEQ | 25.0 ± 7.1 | 60.0 ± 14.1 |" in one


def test_committed_tables_are_those_of_the_committed_figures(miniature, tmp_path):
    measured = FOLDER / "measured"
    stated = (measured / "tables.md").read_text(encoding="utf-8")
    group, names = "mediterranean_amharic_farsi", [*miniature.VARIANTS, *miniature.EXTENSIONS]
    variants = [name for name in names if f"| {name} |" in stated]
    assert variants
    assert miniature.tables.markdown(measured / "results.jsonl", [group], variants) == stated
    first = tmp_path / "seed1.jsonl"
    lines = (measured / "results.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
    first.write_text("".join(line for line in lines if "/seed2" not in line and "/seed3" not in line), encoding="utf-8")
    rows = [row for text in (stated, miniature.tables.markdown(first, [group], variants)) for row in text.splitlines()]
    page, _, control = (FOLDER / "README.md").read_text(encoding="utf-8").partition("### Is it the romanization?")
    control, _, extensions = control.partition("### ")
    of_the_page = [row for row in (page + extensions).splitlines() if row.startswith(("| base", "| MLM"))]
    assert len(of_the_page) == 7
    assert set(of_the_page) <= set(rows)
    groups, variants = [group, "south_east_asian"], ["MLM+SEQ+TLM", "MLM+SEQ+TLM, shuffled"]
    made = miniature.tables.markdown(measured / "control_results.jsonl", groups, variants)
    rows = [row for row in made.splitlines() if row.startswith(("| base", "| MLM"))]
    assert [row for row in control.splitlines() if row.startswith(("| base", "| MLM"))] == rows
    assert len(rows) == 6


def test_tables_of_the_given_encoder_are_those_of_the_committed_figures(miniature):
    page = (FOLDER / "given_encoder.md").read_text(encoding="utf-8").splitlines()
    figures = FOLDER / "measured" / "given_encoder_results.jsonl"
    of_a_page = [*miniature.VARIANTS, *miniature.EXTENSIONS]
    variants = [name for name in of_a_page if any(row.startswith(f"| {name} |") for row in page)]
    text = miniature.tables.markdown(figures, ["mediterranean_amharic_farsi"], variants, layer=8)
    by_source_and_gains, _, _ = text.partition("Bible verses by layer")
    rows = [row for row in by_source_and_gains.splitlines() if row.startswith("|")]
    assert len(rows) == 2 * (2 + len(variants)) + 2
    assert set(rows) <= set(page)
