"""Samples: their size, order and seed, whatever the sources are cut into; filters; flat memory; the dry run."""

import gzip
import hashlib
import itertools
import json
import multiprocessing
import resource
import tempfile
import tracemalloc
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_up_text import seen, sentences, tree, write_corpus, write_group
from ppa_preprocess import cli, sample
from ppa_preprocess.group import Filters, Group, Language, Sampling
from ppa_preprocess.sample import Draw, sample_language, sample_size
from ppa_preprocess.text.filters import filter_lines
from ppa_preprocess.text.scripts import script_share
from ppa_preprocess.text.sources import find_sources
from source_files import as_text, write

from ppa_plugin.data import sampling
from ppa_plugin.data.sampling import random_order

LANG = "ell_Grek"
samplings = st.builds(Sampling, st.floats(0, 1) | st.sampled_from([0.1, 0.25, 1]), st.integers(0, 300))


def drawn(count: int, sampling: Sampling, seed: int, lang: str = LANG) -> tuple[list[int], int]:
    """The numbers of the lines that are taken in one reading, and how many were candidates."""
    draw = Draw(sampling, seed, lang)
    candidates = [i for i, candidate in zip(range(count), draw.candidates(), strict=False) if candidate]
    taken = [i for i, take in zip(candidates, draw.taken(count), strict=True) if take]
    return taken, len(candidates)


def smallest_keys(count: int, sampling: Sampling, seed: int, lang: str = LANG) -> list[int]:
    """The reference: all keys at once, sorted."""
    return sorted(random_order(count, seed, "sample", lang)[: sample_size(count, sampling)].tolist())


@given(count=st.integers(0, 2000), sampling=samplings, seed=st.integers(0, 99), block=st.integers(1, 500))
@settings(max_examples=60, deadline=None)
def test_a_sample_is_the_lines_with_the_smallest_keys_in_their_order(count, sampling, seed, block):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sample, "_BLOCK_LINES", block)
        taken, _ = drawn(count, sampling, seed)
    assert len(taken) == min(count, max(round(count * sampling.share), sampling.min_lines))
    assert taken == smallest_keys(count, sampling, seed)


@pytest.mark.parametrize(
    ("count", "share", "min_lines", "most"),
    [
        (300_000, 0.1, 1000, 42_000),  # the share decides
        (300_000, 0.01, 10_000, 50_000),  # min_lines does: 10,000 (1 + ln 30) lines may be of the sample
        (300_000, 0.0, 5, 3_000),
    ],
)
def test_few_more_lines_than_the_sample_wait_for_its_size(count, share, min_lines, most):
    sampling = Sampling(share, min_lines)
    taken, candidates = drawn(count, sampling, 1)
    assert taken == smallest_keys(count, sampling, 1)
    assert candidates < most


def test_of_equal_keys_the_first_line_goes_first(monkeypatch):
    class Coarse:
        def __init__(self, seed):
            self._keys = np.random.default_rng(seed)

        def random(self, count):
            return np.floor(self._keys.random(count) * 4) / 4

    for module in (sample, sampling):
        monkeypatch.setattr(module, "generator_for", lambda seed, purpose, lang: Coarse(seed))
    for seed, count in itertools.product(range(5), (1, 30, 150)):
        assert drawn(count, Sampling(0.4, 5), seed)[0] == smallest_keys(count, Sampling(0.4, 5), seed)


def test_an_uneven_draw_is_an_error_and_not_a_wrong_sample(monkeypatch):
    class Large:
        def random(self, count):
            return np.full(count, 0.999)

    monkeypatch.setattr(sample, "generator_for", lambda seed, purpose, lang: Large())
    with pytest.raises(RuntimeError, match="seed 1 draws a sample of ell_Grek too uneven"):
        drawn(10_000, Sampling(0.1, 10), 1)


def test_samples_differ_by_seed_and_language():
    sampling = Sampling(0.5, 0)
    samples = [drawn(200, sampling, *which)[0] for which in ((1, LANG), (2, LANG), (1, "tur_Latn"), (1, LANG))]
    assert samples[0] == samples[3]
    assert samples[0] != samples[1] != samples[2] != samples[0]


def sampled(folder: Path, group: Group) -> tuple[bytes, dict]:
    target = folder / "out/text"
    sources = find_sources(group.source_codes, folder / "in")[LANG]
    counts, _ = sample_language(group, LANG, sources, "text", target)
    return target.read_bytes(), counts


@given(
    count=st.integers(1, 120),
    cuts=st.lists(st.integers(0, 120), max_size=5),
    formats=st.lists(st.sampled_from([".txt", ".gz", ".jsonl", ".parquet", ".arrow", ".jsonl.zst"]), min_size=6),
)
@settings(max_examples=30, deadline=None)
def test_a_sample_does_not_depend_on_what_its_source_is_cut_into(count, cuts, formats):
    lines = sentences(LANG, count)
    group = Group("g", {LANG: Language()}, sampling=Sampling(0.3, 10), filters=Filters(min_chars=6))
    bounds = [0, *sorted(min(cut, count) for cut in cuts), count]
    with tempfile.TemporaryDirectory() as whole, tempfile.TemporaryDirectory() as parts:
        write(Path(whole, f"in/{LANG}.txt"), lines)
        for number, (start, stop) in enumerate(itertools.pairwise(bounds)):
            write(Path(parts, f"in/{LANG}/{number}{formats[number]}"), lines[start:stop])
        expected, counts = sampled(Path(whole), group)
        assert sampled(Path(parts), group) == (expected, counts | {"sources": [LANG]})


def test_a_sample_is_that_of_earlier_versions(tmp_path):
    """Known by its checksum: shards made before sources were read once stay as they are."""
    write(tmp_path / f"in/{LANG}.txt", [str(number) for number in range(5000)])
    content, _ = sampled(tmp_path, Group("g", {LANG: Language()}, sampling=Sampling(0.1, 100)))
    assert hashlib.sha256(content).hexdigest() == ("05afa53855c4e90a6abefea3f8fdb82c3b354d63d21348246e1453903555b4f1")


def test_memory_does_not_grow_with_the_source(tmp_path):
    (tmp_path / "in").mkdir()
    with gzip.open(tmp_path / f"in/{LANG}.txt.gz", "wb", compresslevel=1) as file:
        for number in range(20_000):
            file.write(b"%d" % number + b"x" * 10_000 + b"\n")
    group = Group("g", {LANG: Language()}, sampling=Sampling(0.01, 10))
    tracemalloc.start()
    try:
        _, counts = sampled(tmp_path, group)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert counts["read"] == 20_000
    assert peak < 30e6  # of 200 MB


@pytest.mark.parametrize(
    ("lang", "line", "share"),
    [
        ("ell_Grek", "αβγ, δε! 12", 1),
        ("ell_Grek", "αβγ abc", 0.5),
        ("ell_Grek", "", 1),
        ("ell_Grek", "12 — 34", 1),  # no letter is in another script
        ("tur_Latn", "İıçğ ß", 1),
        ("fas_Arab", "سـلام", 1),  # the tatweel is of no script
        ("fas_Aran", "سلام", 1),
        ("zho_Hani", "天地abcd", 1 / 3),
        ("zho_Hans", "天地", 1),
        ("jpn_Jpan", "漢字とカタカナー", 1),
        ("jpn_Jpan", "한국", 0),
        ("kor_Hang", "한국漢字", 0.5),
        ("kor_Kore", "한국漢字", 1),
        ("tha_Thai", "กำลัง", 1),
        ("amh_Ethi", "አማርኛ abc", 4 / 7),
    ],
)
def test_the_share_of_a_script(lang, line, share):
    assert script_share(line, lang) == pytest.approx(share)


def unwanted(lines: list[str], filters: Filters) -> tuple[list[str], Counter]:
    """The reference: one filter after the other, each over what the one before it left."""
    filtered = Counter()

    def leave(name, wanted):
        nonlocal lines
        left = [line for i, line in enumerate(lines) if wanted(i, line)]
        filtered[name] = len(lines) - len(left)
        lines = left

    leave("blank", lambda i, line: seen(line))
    leave("shorter than min_chars", lambda i, line: len(seen(line)) >= filters.min_chars)
    leave("longer than max_chars", lambda i, line: filters.max_chars is None or len(seen(line)) <= filters.max_chars)
    leave("in another script", lambda i, line: script_share(line, LANG) >= filters.script_share)
    before = list(map(seen, lines))
    leave("duplicate", lambda i, line: not filters.deduplicate or seen(line) not in before[:i])
    return lines, +filtered


@given(
    lines=st.lists(st.text("αβab \r\t\u200b\u00a0\ufeff", max_size=6)),
    filters=st.builds(
        Filters,
        deduplicate=st.booleans(),
        min_chars=st.integers(0, 3),
        max_chars=st.none() | st.integers(3, 6),
        script_share=st.sampled_from([0, 0.3, 0.5, 1]),
    ),
)
@settings(max_examples=150, deadline=None)
def test_filters_leave_out_what_they_say_and_count_each_line_once(lines, filters):
    filtered = Counter()
    left = list(filter_lines(lines, filters, LANG, filtered))
    assert (left, filtered) == unwanted(lines, filters)
    assert len(left) + filtered.total() == len(lines)


def test_the_manifest_counts_what_was_filtered_out_before_the_sample(tmp_path, spm, ppa):
    good = sentences(LANG, 80)
    lines = [*good, *good[:7], "α", "latin words only", *sentences("tur_Latn", 4), "αβγ " * 60]
    corpus = write_corpus(tmp_path / "in", {LANG: lines})
    filters = "{deduplicate: true, min_chars: 2, max_chars: 200, script_share: 0.5}"
    group = write_group(tmp_path / "g.yaml", [LANG], filters=filters, sampling="{share: 0.5, min_lines: 0}", shards=1)
    arguments = ["--config", group, "--input", corpus, "--spm", spm, "--output", tmp_path / "out"]
    assert ppa("all", *arguments) == 0
    manifest = json.loads((tmp_path / "out/data-bin/manifest.json").read_text())
    language = manifest["languages"][LANG]
    expected = {"duplicate": 7, "in another script": 5, "longer than max_chars": 1, "shorter than min_chars": 1}
    assert language["filtered"] == expected
    left = len(lines) - sum(expected.values())
    assert language["read"] == len(lines)
    assert language["not_sampled"] == left - round(left / 2)
    dropped = sum(language["dropped"].values())
    assert language["read"] == sum(expected.values()) + language["not_sampled"] + language["kept"] + dropped
    assert manifest["total"]["filtered"] == sum(expected.values())
    assert manifest["group"]["filters"]["max_chars"] == 200
    assert f"{len(lines)} lines read from ell_Grek.txt, {sum(expected.values())} filtered out" in ppa.out
    text = (tmp_path / "out/text/ell_Grek.txt").read_bytes()
    survivors, _ = unwanted(lines, Filters(True, 2, 200, 0.5))
    taken = smallest_keys(len(survivors), Sampling(0.5, 0), 1)
    assert text == as_text([survivors[i] for i in taken])


def test_filters_that_leave_nothing(tmp_path, ppa):
    corpus = write_corpus(tmp_path / "in", {LANG: ["abc", "def"]})
    group = write_group(tmp_path / "g.yaml", [LANG], filters="{script_share: 0.5}")
    assert ppa("sample", "--config", group, "--input", corpus, "--output", tmp_path / "out") == 2
    assert ppa.err == "error: ell_Grek.txt: none of the 2 lines of ell_Grek passes the filters (2 in another script)\n"


def test_a_dry_run_prints_what_sampling_would_give_and_writes_nothing(tmp_path, ppa):
    write(tmp_path / "in/pes_Arab/a.txt", [*sentences("fas_Arab", 140), "latin"])
    write(tmp_path / "in/pes_Arab/b.jsonl", [f"a\n{n} ا" for n in range(60)])
    write(tmp_path / "in/tur_Latn.txt.gz", sentences("tur_Latn", 30))
    write(tmp_path / "in/deu_Latn.txt", ["ja", "nein"])
    group = tmp_path / "g.yaml"
    languages = "{fas_Arab: , tur_Latn: , deu_Latn: }"
    options = "sampling: {share: 0.1, min_lines: 15}\nfilters: {script_share: 0.5}"
    group.write_text(f"name: g\nromanizer: {{name: stub}}\n{options}\nlanguages: {languages}\n")
    before = tree(tmp_path)
    assert ppa("sample", "--config", group, "--input", tmp_path / "in", "--dry-run") == 0
    assert ppa.out.splitlines() == [
        "language <- source           read  filtered  given      paper",
        "fas_Arab <- pes_Arab          201         1     20  1,800,000",
        "tur_Latn <- tur_Latn.txt.gz    30         0     15  2,900,000",
        "deu_Latn <- deu_Latn.txt        2         0      2          -",
        "all                           233         1     37  4,700,000",
        "filtered  fas_Arab: 1 lines in another script",
        "60 values with line breaks, which become spaces",
    ]
    assert tree(tmp_path) == before
    group.write_text(group.read_text().replace(languages, "{deu_Latn: }"))
    assert ppa("sample", "--config", group, "--input", tmp_path / "in", "--dry-run", "--output", tmp_path / "o") == 0
    assert ppa.out.startswith("language <- source        read  filtered  given\n")
    assert tree(tmp_path).keys() == before.keys()


def _run_on_a_full_disk(arguments: list[str], most: int) -> None:
    # a file that grows beyond it gets an OSError from the system, as on a full disk or beyond a quota
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, resource.RLIM_INFINITY))
    cli.main(arguments)


# of 45 kB of text: the sample itself, and a step after it
@pytest.mark.parametrize(("most", "file"), [(30_000, "text/tur_Latn.txt"), (60_000, "encoded/tur_Latn")])
def test_a_full_disk_ends_in_one_sentence_and_the_next_run_goes_on(tmp_path, spm, ppa, capfd, monkeypatch, most, file):
    # where an earlier test has used them, tokenizers of 2025 warn when the process forks
    monkeypatch.setenv("TOKENIZERS_PARALLELISM", "false")
    lines = {LANG: sentences(LANG, 50), "tur_Latn": sentences("tur_Latn", 1200)}
    corpus = write_corpus(tmp_path / "in", lines)
    group = write_group(tmp_path / "g.yaml", lines)
    options = ["--config", group, "--input", corpus, "--spm", spm, "--workers", "1", "--output"]
    run = multiprocessing.get_context("fork").Process(
        target=_run_on_a_full_disk, args=(["all", *map(str, options), str(tmp_path / "full")], most)
    )
    run.start()
    run.join()
    said = capfd.readouterr().err
    assert run.exitcode == 1
    assert said == (
        f"error: {tmp_path / 'full' / file}: File too large; nothing that is finished is lost: once this is mended, "
        "run the same command again\n"
    )
    assert not list((tmp_path / "full").rglob("*.tmp"))
    assert ppa("all", *options, tmp_path / "full") == 0
    assert "sample    ell_Grek  unchanged" in ppa.out
    assert ppa("all", *options, tmp_path / "undisturbed") == 0
    assert tree(tmp_path / "full") == tree(tmp_path / "undisturbed")
