"""A step that is done is left alone, one that was cut off goes on, and neither changes a byte of the result."""

import multiprocessing
import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from made_up_text import tree, write_group
from ppa_preprocess import cli

LANGUAGES = ("tur_Latn", "ell_Grek", "zho_Hani")
STEPS = ("sample", "romanize", "encode", "binarize", "verify")


@pytest.fixture(scope="module")
def group(tmp_path_factory) -> Path:
    return write_group(tmp_path_factory.mktemp("group") / "group.yaml", LANGUAGES)


@pytest.fixture(params=["fairseq-preprocess", "direct", "alignment"])
def arguments(request, group, corpus, spm, tmp_path_factory):
    binarizer = request.param
    if request.param == "alignment":
        binarizer = "direct"
        group = write_group(tmp_path_factory.mktemp("aligned") / "group.yaml", LANGUAGES, alignment="true")
    flags = ["--config", group, "--input", corpus, "--spm", spm, "--binarizer", binarizer]
    return lambda output: [*flags, "--output", output]


def modification_times(folder: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


def test_a_second_run_writes_nothing(tmp_path, arguments, ppa):
    assert ppa("all", *arguments(tmp_path)) == 0
    before = modification_times(tmp_path)
    assert ppa("all", *arguments(tmp_path)) == 0
    assert modification_times(tmp_path) == before
    assert ppa.out.count("unchanged") == 3 * len(LANGUAGES) + 1


def test_steps_and_workers_make_no_difference(tmp_path, arguments, ppa):
    assert ppa("all", *arguments(tmp_path / "all"), "--workers", 1) == 0
    for step in STEPS:
        assert ppa(step, *arguments(tmp_path / "steps"), "--workers", 3) == 0
    assert tree(tmp_path / "all") == tree(tmp_path / "steps")
    manifest = (tmp_path / "all/data-bin/manifest.json").read_text(encoding="utf-8")
    assert str(tmp_path) not in manifest


def test_what_changed_is_made_again_and_nothing_else(tmp_path, group, corpus, spm, ppa):
    changing = tmp_path / "group.yaml"
    output = tmp_path / "out"
    arguments = ["all", "--config", changing, "--input", corpus, "--spm", spm, "--output", output]
    changing.write_bytes(group.read_bytes())
    assert ppa(*arguments) == 0
    before = modification_times(output)
    # damage to one language's Latin side: it is romanized again, comes out the same, and goes no further
    (output / "pairs/ell_Grek.latn").write_text("shifted\n")
    assert ppa(*arguments) == 0
    changed = {
        str(path.relative_to(output)) for path, time in modification_times(output).items() if time != before[path]
    }
    assert {"pairs/ell_Grek.latn", "pairs/ell_Grek.orig"} <= changed
    assert not any("tur_Latn" in path for path in changed)
    # another group of settings leaves no shard and no language of the old one behind
    write_group(changing, ("tur_Latn", "zho_Hani"), shards=1)
    assert ppa(*arguments) == 0
    assert sorted(path.name for path in output.glob("data-bin/shard*/*")) == ["tur_Latn", "zho_Hani"]
    assert "ell_Grek" not in (output / "dropped.jsonl").read_text(encoding="utf-8")


def _run_until_killed(arguments: list[str], renames: int) -> None:
    """`ppa-preprocess all` that is killed, as by the kernel, just before it renames a file for the n-th time."""
    left = iter(range(renames))

    def mortal(rename):
        def rename_or_die(*paths):
            if next(left, None) is None:
                os.kill(os.getpid(), signal.SIGKILL)
            return rename(*paths)

        return rename_or_die

    os.replace, Path.rename = mortal(os.replace), mortal(Path.rename)
    cli.main(arguments)


# sample renames 2 files a language, romanize 4, encode 3: one kill in each, two in encode, one in binarize
@pytest.mark.parametrize("renames", [3, 8, 22, 27, 33])
def test_a_killed_run_goes_on(tmp_path, arguments, ppa, renames):
    killed, undisturbed = tmp_path / "killed", tmp_path / "undisturbed"
    run = multiprocessing.get_context("fork").Process(
        target=_run_until_killed, args=(["all", *map(str, arguments(killed)), "--workers", "1"], renames)
    )
    run.start()
    run.join()
    assert run.exitcode == -signal.SIGKILL
    assert ppa("all", *arguments(killed)) == 0
    assert ppa("all", *arguments(undisturbed)) == 0
    assert tree(killed) == tree(undisturbed)


def test_a_reader_that_goes_away_stops_nothing(tmp_path, corpus, spm, ppa):
    """`ppa-preprocess all ... | head -1`: the lines go nowhere, the work goes on to its end."""
    group = write_group(tmp_path / "group.yaml", LANGUAGES, romanizer="{name: made_up_text:StubRomanizer}")
    arguments = ["--config", group, "--input", corpus, "--spm", spm, "--workers", 1, "--output"]
    code = "from ppa_preprocess import cli; import sys; cli.main(sys.argv[1:])"
    command = shlex.join([sys.executable, "-c", code, "all", *map(str, arguments), str(tmp_path / "piped")])
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parent)}
    run = subprocess.run(f"{command} | head -1", shell=True, capture_output=True, text=True, env=environment)
    assert run.stdout.startswith("sample    tur_Latn  190 lines read")
    assert run.stdout.count("\n") == 1
    assert "Traceback" not in run.stderr
    assert "pipe" not in run.stderr.lower()
    assert ppa("all", *arguments, tmp_path / "undisturbed") == 0
    assert tree(tmp_path / "piped") == tree(tmp_path / "undisturbed")
