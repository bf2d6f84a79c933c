"""Text as users have it: every format gives the lines that plain text gives, and the output says what was read."""

import itertools
import json

import datasets
import pyarrow
import pytest
from made_up_text import seen, sentences, write_group
from source_files import COMPRESS, as_json_lines, as_text, table, write, write_arrow, write_parquet

LANG = "ell_Grek"
# what other readers take for line ends, blanks at the ends, nothing at all
LINES = [*sentences(LANG, 230), "a\u2028b\u0085c", "\r", " b\t", "", "\ufeffx", "\x0b\x1c", *sentences("zho_Hani", 60)]
SAMPLING = "{share: 0.4, min_lines: 20}"


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path_factory.mktemp("cache"))
    datasets.disable_progress_bars()


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    return write_group(tmp_path_factory.mktemp("group") / "group.yaml", [LANG], sampling=SAMPLING)


@pytest.fixture
def sampled(tmp_path, config, ppa):
    """The bytes that `sample` gives for an `--input`."""

    def sample(given, *flags) -> bytes:
        arguments = ["--config", config, "--input", given, "--output", tmp_path / "out", *flags]
        assert ppa("sample", *arguments) == 0, ppa.err
        return (tmp_path / "out/text" / f"{LANG}.txt").read_bytes()

    return sample


@pytest.fixture
def expected(tmp_path, sampled):
    write(tmp_path / "plain" / f"{LANG}.txt", LINES)
    return sampled(tmp_path / "plain")


def in_parts(folder):
    cuts = [0, 40, 41, 41, 200, len(LINES)]
    names = ["a.txt", "b.jsonl.xz", "c.gz", "d.parquet", "e.arrow"]
    for name, (start, stop) in zip(names, itertools.pairwise(cuts), strict=True):
        write(folder / LANG / name, LINES[start:stop])
    (folder / LANG / "_SUCCESS").touch()
    (folder / LANG / ".d.parquet.crc").write_bytes(b"x")


def saved(folder, **options):
    datasets.Dataset.from_dict({"text": LINES}).save_to_disk(folder, **options)


def dictionary_encoded(folder):
    column = pyarrow.array(LINES).dictionary_encode()
    write_parquet(folder / f"{LANG}.parquet", table(column))


def hub(folder):
    """A local directory laid out as Glot500 is on the hub."""
    saved(folder / LANG / "train", num_shards=3)
    saved(folder / LANG / "test")
    (folder / "README.md").write_text(
        f"---\nconfigs:\n- config_name: {LANG}\n  data_files:\n  - split: train\n    path: {LANG}/train/*.arrow\n---\n"
    )


LAYOUTS = {
    **{
        kind + compression: lambda folder, suffix=kind + compression: write(folder / f"{LANG}{suffix}", LINES)
        for kind in ("", ".txt", ".jsonl")
        for compression in COMPRESS
        if kind + compression
    },
    "no last line end": lambda folder: (folder / f"{LANG}.txt").write_bytes(as_text(LINES)[:-1]),
    "two gzip members": lambda folder: (folder / f"{LANG}.gz").write_bytes(
        b"".join(COMPRESS[".gz"](as_text(part)) for part in (LINES[:50], LINES[50:]))
    ),
    "two xz streams": lambda folder: (folder / f"{LANG}.xz").write_bytes(
        b"".join(COMPRESS[".xz"](as_text(part)) for part in (LINES[:50], LINES[50:]))
    ),
    "two zstd frames": lambda folder: (folder / f"{LANG}.zst").write_bytes(
        b"".join(COMPRESS[".zst"](as_text(part)) for part in (LINES[:50], LINES[50:]))
    ),
    ".parquet": lambda folder: write(folder / f"{LANG}.parquet", LINES),
    "parquet, large strings": lambda folder: write_parquet(
        folder / f"{LANG}.parquet", table(LINES, kind=pyarrow.large_string())
    ),
    "parquet, a dictionary": dictionary_encoded,
    "an Arrow stream": lambda folder: write(folder / f"{LANG}.arrow", LINES),
    "an Arrow file": lambda folder: write_arrow(folder / f"{LANG}.arrow", table(LINES), stream=False),
    "a directory of parts": in_parts,
    "save_to_disk": lambda folder: saved(folder / LANG, num_shards=3),
    "save_to_disk of splits": lambda folder: datasets.DatasetDict(
        {"train": datasets.Dataset.from_dict({"text": LINES}), "test": datasets.Dataset.from_dict({"text": ["x"]})}
    ).save_to_disk(folder / LANG),
    "Glot500's layout": hub,
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_format_gives_what_the_plain_text_gives(tmp_path, sampled, expected, layout):
    (tmp_path / "in").mkdir()
    LAYOUTS[layout](tmp_path / "in")
    assert sampled(tmp_path / "in") == expected
    assert 20 < expected.count(b"\n") < len(LINES)


def test_the_split_that_is_read_is_said(tmp_path, sampled, ppa):
    hub(tmp_path / "in")
    sampled(tmp_path / "in")
    blank = sum(not seen(line) for line in LINES)
    taken = round((len(LINES) - blank) * 0.4)
    assert ppa.out == (
        f"sample    {LANG}  {len(LINES)} lines read from {LANG}/train, {blank} filtered out, {taken} taken\n"
    )


def test_a_dataset_of_the_hub_is_streamed_by_the_library_itself(tmp_path, sampled, expected, config, ppa):
    hub(tmp_path / "hub")
    assert sampled(f"hf:{tmp_path / 'hub'}") == expected
    assert f"read from hf:{tmp_path / 'hub'} {LANG}" in ppa.out
    sampled(f"hf:{tmp_path / 'hub'}")
    assert "unchanged" in ppa.out


def test_a_hub_name_and_revision_reach_the_library(sampled, expected, monkeypatch, ppa):
    asked = []

    class Stream:
        def with_format(self, kind):
            assert kind == "arrow"
            return self

        def iter(self, rows):
            return (table(LINES[start : start + 100], "sentence") for start in range(0, len(LINES), 100))

    class Builder:
        hash = "0123abcd"

        def as_streaming_dataset(self, split):
            assert split == "train"
            return Stream()

    def load(path, name, revision):
        asked.append((path, name, revision))
        return Builder()

    monkeypatch.setattr(datasets, "get_dataset_config_names", lambda path, revision: ["tur_Latn", LANG])
    monkeypatch.setattr(datasets, "load_dataset_builder", load)
    assert sampled("hf:cis-lmu/Glot500@v2", "--text-column", "sentence") == expected
    assert asked == [("cis-lmu/Glot500", LANG, "v2")]
    Builder.hash = "4567cdef"  # the dataset was changed
    sampled("hf:cis-lmu/Glot500@v2", "--text-column", "sentence")
    assert "unchanged" not in ppa.out


def test_a_line_break_inside_a_value_shifts_nothing_and_is_counted(tmp_path, spm, ppa):
    values = ["α β", "α\nβ", "γ\r\nδ\n", "ε\n\nζ", "η\r", "θ\n", *sentences(LANG, 30)]
    group = write_group(tmp_path / "g.yaml", [LANG])
    for number, layout in enumerate(("jsonl", "parquet")):
        folder, output = tmp_path / f"in{number}", tmp_path / f"out{number}"
        write(folder / f"{LANG}.{layout}", values)
        assert ppa("all", "--config", group, "--input", folder, "--spm", spm, "--output", output) == 0
        lines = (output / f"text/{LANG}.txt").read_bytes().split(b"\n")
        assert [line.decode() for line in lines[:6]] == ["α β", "α β", "γ δ", "ε  ζ", "η", "θ"]
        assert len(lines) == len(values) + 1
        manifest = json.loads((output / "data-bin/manifest.json").read_text())
        assert manifest["languages"][LANG]["source"]["line_breaks_to_spaces"] == 4
        assert manifest["languages"][LANG]["source"]["line_ends_removed"] == 1
        assert manifest["languages"][LANG]["read"] == len(values)


def group_of(folder, languages: str):
    path = folder / "g.yaml"
    path.write_text(f"name: g\nvalid_size: 5\nshards: 1\nromanizer: {{name: stub}}\nlanguages: {languages}\n")
    return path


def test_a_macro_language_is_merged_from_its_sources_in_their_order(tmp_path, spm, ppa):
    lines = sentences("fas_Arab", 60)
    write(tmp_path / "in/pes_Arab.txt", lines[20:])
    write(tmp_path / "in/prs_Arab/a.jsonl", lines[:20])
    group = group_of(tmp_path, "{fas_Arab: {sources: [prs_Arab, pes_Arab]}}")
    arguments = ["--config", group, "--input", tmp_path / "in", "--spm", spm, "--output", tmp_path / "out"]
    assert ppa("all", *arguments) == 0
    assert (tmp_path / "out/text/fas_Arab.txt").read_bytes() == as_text(lines)
    assert "60 lines read from prs_Arab and pes_Arab.txt" in ppa.out
    source = json.loads((tmp_path / "out/data-bin/manifest.json").read_text())["languages"]["fas_Arab"]["source"]
    assert source["names"] == ["prs_Arab", "pes_Arab.txt"]
    assert list(source["files"]) == ["prs_Arab/a.jsonl", "pes_Arab.txt"]
    group_of(tmp_path, "{fas_Arab: {sources: [pes_Arab, prs_Arab]}}")
    assert ppa("sample", *arguments[:4], *arguments[6:]) == 0
    assert (tmp_path / "out/text/fas_Arab.txt").read_bytes() == as_text(lines[20:] + lines[:20])


@pytest.mark.parametrize(
    ("lang", "there"),
    [
        ("fas_Arab", "pes_Arab"),
        ("arb_Arab", "ara_Arab"),
        ("ara_Arab", "arb_Arab"),
        ("zho_Hani", "cmn_Hani"),
        ("zho_Hani", "zho_Hans"),
        ("yue_Hani", "yue_Hant"),
        ("tur_Latn", "tur"),
        ("pes_Arab", "fas_Arab"),
    ],
)
def test_text_under_another_code_of_the_language_is_found_and_named(tmp_path, ppa, lang, there):
    write(tmp_path / "in" / f"{there}.txt.gz", ["α", "β"])
    write(tmp_path / "in/kor_Hang.txt", ["γ"])
    arguments = ["--config", group_of(tmp_path, f"{{{lang}: }}"), "--input", tmp_path / "in"]
    assert ppa("sample", *arguments, "--output", tmp_path / "out") == 0
    assert ppa.out == f"sample    {lang}  2 lines read from {there}.txt.gz, 2 taken\n"
    write(tmp_path / "in" / f"{lang}.txt", ["δ"])  # a language's own code goes first
    assert ppa("sample", *arguments, "--output", tmp_path / "out") == 0
    assert ppa.out == f"sample    {lang}  1 lines read from {lang}.txt, 1 taken\n"


def test_a_sample_is_drawn_again_where_its_text_or_column_changed_and_only_then(tmp_path, config, ppa):
    folder = tmp_path / "in"
    folder.mkdir()
    content = as_json_lines(LINES).replace(b'"id"', b'"other"')
    (folder / f"{LANG}.jsonl").write_bytes(content)
    arguments = ["--config", config, "--input", folder, "--output", tmp_path / "out"]
    assert ppa("sample", *arguments) == 0
    assert ppa("sample", *arguments) == 0
    assert "unchanged" in ppa.out
    (folder / f"{LANG}.jsonl").write_bytes(content[:-40].rpartition(b"\n")[0])
    assert ppa("sample", *arguments) == 0
    assert "unchanged" not in ppa.out
    write(folder / f"{LANG}.jsonl", LINES)
    assert ppa("sample", *arguments, "--text-column", "id") == 2
