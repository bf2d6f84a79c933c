"""The scripts of examples/ give commands that exist, and the two forms of the recipe are one recipe."""

import os
import shutil
import subprocess
from dataclasses import fields
from pathlib import Path

import pytest
import torch
from command_lines import PLUGIN, ROOT, parse, record
from fairseq import registry
from fairseq.dataclass.initialize import add_defaults
from fairseq.dataclass.utils import convert_namespace_to_omegaconf, merge_with_parent
from fairseq.distributed.utils import infer_init_method
from fairseq.models import ARCH_MODEL_NAME_REGISTRY, MODEL_DATACLASS_REGISTRY
from fairseq.tasks import TASK_DATACLASS_REGISTRY
from omegaconf import OmegaConf
from ppa_preprocess.group import load_group

from ppa_plugin.criterion import TranslitAlignmentCriterionConfig
from ppa_plugin.evaluation.suite.suite_file import load_suite
from ppa_plugin.model.architectures import TranslitXLMRConfig
from ppa_plugin.task import TranslitAlignmentConfig

EXAMPLES = ROOT / "examples"
GROUPS = ("mediterranean_amharic_farsi", "south_east_asian", "your_own_group")
PLUGIN_PARTS = {
    "task": TranslitAlignmentConfig,
    "criterion": TranslitAlignmentCriterionConfig,
    "model": TranslitXLMRConfig,
}
RECIPE = EXAMPLES / "recipe"
SCRIPTS = sorted(path.relative_to(EXAMPLES) for end in ("sh", "sbatch") for path in EXAMPLES.rglob(f"*.{end}"))
STEPS = [path.name for path in SCRIPTS if path.parent.name == "recipe" and path.name != "settings.sh"]
# Table 1: the languages, and the order of magnitude of what 10% or 10k gives
TABLE_1 = {
    "mediterranean_amharic_farsi": "ara arb ary arz fas amh ell heb tur mlt",
    "south_east_asian": "zho lzh yue wuu kor lao lhu mya bod tha",
}


@pytest.fixture
def place(tmp_path):
    """A working directory as step 2 leaves it, for every group."""
    for group in GROUPS:
        for shard in ("shard00", "shard01"):
            (tmp_path / "runs" / group / "data-bin" / shard).mkdir(parents=True)
        for model in ("aligned", "base"):
            (tmp_path / "runs" / group / "models" / model).mkdir(parents=True)
    (tmp_path / "data" / "eval").mkdir(parents=True)
    return tmp_path


def the_call(lines: list[list[str]], name: str) -> list[str]:
    (found,) = [line for line in lines if line[0] == name]
    return found


@pytest.mark.parametrize("script", SCRIPTS, ids=str)
def test_scripts_are_whole(script):
    text = (EXAMPLES / script).read_text(encoding="utf-8")
    assert subprocess.run(["bash", "-n", str(EXAMPLES / script)]).returncode == 0
    if script.name != "settings.sh":
        assert "\nset -euo pipefail\n" in text
        assert '"$@"' in text
        assert (EXAMPLES / script).stat().st_mode & 0o111 or script.suffix == ".sbatch"


@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.parametrize("step", STEPS)
def test_every_step_gives_commands_that_exist(place, step, group):
    lines, printed = record(place, RECIPE / step, GROUP=group)
    called = [line for line in lines if line[0] != "ppa-user-dir"]
    assert called
    for line in called:
        parse(line)
    assert "reads  " in printed
    assert "writes " in printed


@pytest.mark.parametrize("step", ["2_preprocess.sh", "3_train.sh", "4_select.sh", "5_convert.sh", "7_report.sh"])
def test_flags_of_the_user_come_last(place, step):
    lines, _ = record(place, RECIPE / step, "--some", "a b")
    assert lines[-1][-2:] == ["--some", "a b"]


def test_the_report_takes_more_files(place):
    lines, _ = record(place, RECIPE / "7_report.sh", "more.jsonl", "--title", "Ours")
    assert parse(lines[-1]).results == [f"runs/{GROUPS[0]}/results.jsonl", "more.jsonl"]


def test_paths_come_from_the_environment(place):
    (place / "elsewhere" / "data-bin" / "shard00").mkdir(parents=True)
    script = RECIPE / "3_train.sh"
    lines, _ = record(place, script, RUN="elsewhere", CONVERTED="xlmr", ARCH="xlmr_base", MAX_UPDATE="7")
    parsed = parse(the_call(lines, "fairseq-train"))
    assert (parsed.data, parsed.arch, parsed.max_update) == ("elsewhere/data-bin/shard00", "xlmr_base", 7)
    assert (parsed.finetune_from_model, parsed.save_dir) == ("xlmr/model.pt", "elsewhere/checkpoints")


def test_a_group_may_be_a_directory_anywhere(place):
    shutil.copytree(EXAMPLES / "groups" / GROUPS[2], place / "elsewhere" / "my_group")
    lines, _ = record(place, RECIPE / "2_preprocess.sh", GROUP="elsewhere/my_group")
    parsed = parse(the_call(lines, "ppa-preprocess"))
    assert Path(parsed.config) == place / "elsewhere" / "my_group" / "group.yaml"
    assert Path(parsed.output) == Path("runs/my_group")


def test_a_group_that_is_none_is_named(place):
    command = ["bash", str(RECIPE / "3_train.sh")]
    done = subprocess.run(command, cwd=place, env=os.environ | {"GROUP": "indic"}, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: GROUP=indic is neither a directory with a group.yaml nor a name in ")


@pytest.mark.parametrize("group", TABLE_1)
def test_the_groups_are_those_of_table_1(group):
    loaded = load_group(EXAMPLES / "groups" / group / "group.yaml")
    assert [code.split("_")[0] for code in loaded.languages] == TABLE_1[group].split()
    assert (loaded.sampling.share, loaded.sampling.min_lines, loaded.binarizer) == (0.10, 10_000, "direct")
    assert {language.uroman for language in loaded.languages.values()} == {None}
    assert loaded.name == group


def test_the_template_of_a_group_is_read():
    assert load_group(EXAMPLES / "groups" / "your_own_group" / "group.yaml").name == "your_own_group"


@pytest.mark.parametrize("group", GROUPS)
def test_the_suite_has_the_models_found_and_the_papers_tasks(place, group, monkeypatch):
    from ppa_plugin.evaluation.suite.suite_file import load_suite

    monkeypatch.chdir(place)
    lines, _ = record(place, RECIPE / "6_evaluate.sh", GROUP=group)
    suite = load_suite(parse(the_call(lines, "ppa-evaluate")).config)
    assert {cell.name for cell in suite.cells} == {"aligned", "base"}
    assert {Path(cell.model).resolve() for cell in suite.cells} == {
        place / "runs" / group / "models" / model for model in ("aligned", "base")
    }
    loaded = {cell.task: cell for cell in suite.cells}
    if group in TABLE_1:
        assert {*loaded} == {"bible", "tatoeba", "taxi1500", "sib200", "ner", "pos"}
        languages = load_group(EXAMPLES / "groups" / group / "group.yaml").languages
        targets = {target for cell in suite.cells for target in cell.targets}
        assert targets <= {*languages}
        assert {source for cell in suite.cells for source in cell.sources} <= {*languages, "eng_Latn"}
        assert {cell.seed for cell in suite.cells if cell.task in ("sib200", "ner")} == {42, 43, 44, 45, 46}
    assert all(Path(cell.data).resolve() == place / "data" / "eval" / cell.task for cell in suite.cells)


def test_the_recipe_is_appendix_a(place):
    lines, _ = record(place, RECIPE / "3_train.sh")
    parsed = parse(the_call(lines, "fairseq-train"))
    assert parsed.data == ":".join(f"runs/{GROUPS[0]}/data-bin/shard0{number}" for number in (0, 1))
    assert (parsed.batch_size * 4 * parsed.update_freq[0], parsed.lr, parsed.lr_scheduler) == (
        512,
        [2e-5],
        "polynomial_decay",
    )
    assert (parsed.optimizer, parsed.adam_betas, parsed.adam_eps) == ("fused_adamw", "(0.9, 0.999)", 1e-8)
    assert (parsed.seq_negatives, parsed.mlm_group) == (64, 16)
    assert (parsed.weight_decay, parsed.clip_norm, parsed.fp16, parsed.warmup_updates) == (0.01, 1.0, True, 0)
    assert parsed.save_interval_updates == 2000


def test_one_gpu_and_many_make_updates_of_512_pairs(place):
    lines, _ = record(place, RECIPE / "3_train_one_gpu.sh", GROUP=GROUPS[1])
    parsed = parse(the_call(lines, "fairseq-train"))
    assert (parsed.batch_size * parsed.update_freq[0], parsed.seq_negatives, parsed.mlm_group) == (512, 64, 16)

    (place / "examples").symlink_to(EXAMPLES)
    settings = {"SLURM_JOB_NUM_NODES": "2", "GROUP": GROUPS[1]}
    lines, _ = record(place, EXAMPLES / "slurm/several_nodes.sbatch", names=("srun",), **settings)
    parsed = parse(the_call(lines, "fairseq-train"))
    assert parsed.distributed_world_size * parsed.batch_size * parsed.update_freq[0] == 512
    assert (parsed.distributed_world_size, parsed.seq_negatives, parsed.distributed_port) == (8, 64, 29500)


def test_torchrun_starts_the_same_training(place):
    lines, _ = record(place, EXAMPLES / "slurm/torchrun.sh", NODES="2", NODE_RANK="1", MASTER="node0")
    launched = parse(the_call(lines, "torchrun"))
    assert (launched.nnodes, launched.node_rank, launched.nproc_per_node) == ("2", 1, "4")
    assert Path(launched.training_script).name == "fairseq-train"
    parsed = parse(["fairseq-train", *launched.training_script_args])
    assert parsed.distributed_world_size * parsed.batch_size * parsed.update_freq[0] == 512
    assert (parsed.distributed_world_size, parsed.seq_negatives) == (8, 64)


@pytest.mark.parametrize(("gpus", "rank"), [(4, 4), (1, 1)])
def test_fairseq_asks_slurm_for_the_machines(place, monkeypatch, gpus, rank):
    (place / "examples").symlink_to(EXAMPLES)
    settings = {"SLURM_JOB_NUM_NODES": "2", "GPUS": str(gpus), "GROUP": GROUPS[1]}
    lines, _ = record(place, EXAMPLES / "slurm/several_nodes.sbatch", names=("srun",), **settings)
    config = convert_namespace_to_omegaconf(parse(the_call(lines, "fairseq-train"))).distributed_training
    slurm = {"STEP_NODELIST": "node[0-1]", "NNODES": "2", "NTASKS_PER_NODE": "1", "NODEID": "1"}
    for name, value in slurm.items():
        monkeypatch.setenv(f"SLURM_{name}", value)
    monkeypatch.setattr(subprocess, "check_output", lambda command: b"node0\nnode1\n")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    infer_init_method(config)
    assert (config.distributed_init_method, config.distributed_rank) == ("tcp://node0:29500", rank)
    assert (config.distributed_world_size, config.distributed_num_procs) == (2 * gpus, gpus)


@pytest.mark.parametrize(("gpus", "device"), [(4, 1), (1, 0)])
def test_fairseq_takes_the_machines_from_torchrun(place, monkeypatch, gpus, device):
    settings = {"NODES": "2", "NODE_RANK": "1", "MASTER": "node0", "GPUS": str(gpus)}
    lines, _ = record(place, EXAMPLES / "slurm/torchrun.sh", **settings)
    arguments = parse(the_call(lines, "torchrun")).training_script_args
    config = convert_namespace_to_omegaconf(parse(["fairseq-train", *arguments])).distributed_training
    rank = gpus + device  # of the second machine
    for name, value in {"MASTER_ADDR": "node0", "MASTER_PORT": 29500, "WORLD_SIZE": 2 * gpus, "RANK": rank}.items():
        monkeypatch.setenv(name, str(value))
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    monkeypatch.setattr(torch.cuda, "set_device", lambda device: None)
    infer_init_method(config)
    assert (config.distributed_init_method, config.distributed_no_spawn) == ("env://", True)
    assert (config.distributed_world_size, config.distributed_rank, config.device_id) == (2 * gpus, rank, device)


def test_the_ablations_are_the_four_objectives(place):
    lines, _ = record(place, EXAMPLES / "ablations/ablations.sh", "--update-freq", "32", GROUP=GROUPS[1])
    trained = [parse(line) for line in lines if line[0] == "fairseq-train"]
    assert [(t.mlm_weight, t.seq_weight, t.tlm_weight) for t in trained] == [
        (1, 0, 0),
        (1, 1, 0),
        (1, 0, 1),
        (1, 1, 1),
    ]
    assert {t.update_freq[0] for t in trained} == {32}
    assert len({t.save_dir for t in trained}) == 4
    assert all(Path(t.save_dir).is_relative_to(f"runs/{GROUPS[1]}") for t in trained)
    converted = [parse(line) for line in lines if line[0] == "ppa-convert"]
    assert [Path(c.checkpoint).parent for c in converted] == [Path(t.save_dir) for t in trained]
    assert len({c.output for c in converted}) == 4


TRANSMI = EXAMPLES / "transmi/transmi.sh"


def test_transmi_is_measured_beside_the_encoder_on_both_inputs(place):
    settings = {"BASE": "some/e5", "EVAL": "data/eval", "LAYERS": "0,8,12"}
    lines, _ = record(place, TRANSMI, "--jobs", "1", **settings)
    parsed = [(line[1], parse(line)) for line in lines]
    made = {p.output: p.init for command, p in parsed if command == "extend"}
    assert made == {"runs/transmi/mean": "mean", "runs/transmi/max": "max"}
    converted = {Path(p.output): str(Path(p.checkpoint).parent) for command, p in parsed if command == "to-hf"}
    assert [made[directory] for directory in converted.values()] == ["mean", "max"]
    for directory in converted:
        (place / directory).mkdir()
    suites = [p for command, p in parsed if command == "suite"]
    outputs = ["runs/transmi/orig.jsonl", "runs/transmi/latn.jsonl"]  # a suite takes no results of another one
    assert [(p.jobs, p.output) for p in suites] == [(1, output) for output in outputs]
    models = ["some/e5", *(str(place / directory) for directory in converted)]
    cells = [cell for p in suites for cell in load_suite(place / p.config).cells]
    assert [(c.model, c.settings, c.romanizers is not None) for c in cells] == [
        (model, {"layer": [0, 8, 12]}, romanized) for romanized in (False, True) for model in models
    ]
    assert {(c.task, c.data, c.targets) for c in cells} == {("bible", str(place / "data/eval"), None)}
    report = parsed[-1][1]
    assert (report.results, report.baseline) == (outputs, cells[0].name) == (outputs, "e5")


def test_transmi_again_makes_nothing_and_measures_what_a_suite_lacks(place):
    """A base and text in local directories, a target and the layer left to the suite."""
    for name in ("models/e5", "out/mean", "out/max", "out/transmi-mean", "out/transmi-max"):
        (place / name).mkdir(parents=True)
        (place / name / ("config.json" if "-" in name else "model.pt")).touch()
    settings = {"BASE": "models/e5", "EVAL": "data/eval", "OUT": "out", "TARGETS": "amh_Ethi,heb_Hebr"}
    lines, _ = record(place, TRANSMI, **settings)
    assert [line[:2] for line in lines[:2]] == [["ppa-evaluate", "suite"]] * 2
    assert [line[0] for line in lines[2:]] == ["ppa-report"]
    cells = load_suite(place / "out/latn.yaml").cells
    assert [c.model for c in cells] == [
        str(place / name) for name in ("models/e5", "out/transmi-mean", "out/transmi-max")
    ]
    assert {c.targets for c in cells} == {("amh_Ethi", "heb_Hebr")}
    assert all(c.romanizers is not None and not c.settings for c in cells)


def test_transmi_takes_all_layers_and_begins_with_the_text(place):
    settings = {"BASE": "some/e5", "EVAL": "data/eval", "LAYERS": "all"}
    lines, _ = record(place, TRANSMI, **settings)
    (place / "runs/transmi/transmi-mean").mkdir()
    (place / "runs/transmi/transmi-max").mkdir()
    configs = [parse(line).config for line in lines if line[1] == "suite"]
    assert {c.settings["layer"] for path in configs for c in load_suite(place / path).cells} == {"all"}
    with pytest.raises(AssertionError, match="data/none"):  # what `record` makes of a script that fails
        record(place, TRANSMI, BASE="some/e5", EVAL="data/none", OUT="other")
    assert not (place / "other").exists()


def test_romanizers_differ_in_the_romanizer_alone(place):
    lines, _ = record(place, EXAMPLES / "romanizers/compare.sh", "--cpu", BASE="some/e5", CORPUS="corpus")
    parsed = [(line, parse(line)) for line in lines if line[0] != "ppa-user-dir"]
    made = [Path(p.config) for line, p in parsed if line[:2] == ["ppa-preprocess", "all"]]
    groups = [load_group(path) for path in made]
    assert [group.name for group in groups] == [path.stem for path in made] == ["uroman", "pypinyin", "pythainlp"]
    own = [{lang: group.romanizers_of(lang)[0].name for lang in group.languages} for group in groups]
    chinese = {lang for lang in own[0] if lang.endswith("_Hani")}
    assert set(own[0].values()) == {"uroman"}
    assert own[1] == own[0] | dict.fromkeys(chinese, "pypinyin")
    assert own[2] == own[0] | {"tha_Thai": "pythainlp"}
    trained = [line for line, _ in parsed if line[0] == "fairseq-train"]
    names = ["uroman", "pypinyin", "pythainlp", "shuffled"]
    renamed = [[word.replace(f"/{name}", "/NAME") for word in line] for name, line in zip(names, trained, strict=True)]
    assert renamed[0] == renamed[1] == renamed[2]
    shuffled = [word.replace("/uroman/", "/NAME/") for word in renamed[3]]
    shuffled.remove("--shuffle-pairs")
    assert shuffled == renamed[0]
    assert [p.name for line, p in parsed if line[1] == "retrieval"] == ["encoder", *names]


def test_the_released_run_has_the_authors_flags(place):
    lines, _ = record(place, EXAMPLES / "ablations/released.sh", "--seed", "3")
    parsed = parse(the_call(lines, "fairseq-train"))
    assert (parsed.batch_size, parsed.update_freq) == (16, [8])
    assert (parsed.seq_weight, parsed.seq_gather, parsed.tlm_truncation) == (0.5, "detached", "right")
    assert (parsed.weight_decay, parsed.clip_norm, parsed.seed) == (0.0, 1.0, 3)


def test_hydras_recipe_equals_the_flags(place, monkeypatch):
    lines, _ = record(place, RECIPE / "3_train.sh")
    flags = convert_namespace_to_omegaconf(parse(the_call(lines, "fairseq-train")))
    lines, _ = record(place, RECIPE / "3_train_hydra.sh")
    raw = parse(the_call(lines, "fairseq-hydra-train"))
    recipe = hydra_as_fairseq_reads_it(raw.copy(), monkeypatch)
    for part, dataclass in PLUGIN_PARTS.items():
        own = {f.name for f in fields(dataclass) if f.name != "_name" and "help" in f.metadata}
        assert own <= {*raw[part]}, "a value that is not in the file takes a plus to override"
    flags, recipe = (OmegaConf.to_container(cfg, enum_to_str=True) for cfg in (flags, recipe))
    assert flags["common"]["user_dir"] == PLUGIN
    flags["model"]["_name"] = ARCH_MODEL_NAME_REGISTRY[flags["model"]["_name"]]
    assert recipe.pop("scoring") is None  # of generated text; the command line always names BLEU
    for section in recipe:
        assert recipe[section] == flags[section], section
    assert {"common", "task", "criterion", "model", "optimizer", "lr_scheduler", "optimization", "dataset"} < {*recipe}


def hydra_as_fairseq_reads_it(cfg, monkeypatch):
    """fairseq-hydra-train's steps: its own defaults, resolution, and only then, with the plugin, the plugin's."""
    with monkeypatch.context() as without_plugin:
        without_plugin.delitem(TASK_DATACLASS_REGISTRY, "translit_alignment")
        without_plugin.delitem(MODEL_DATACLASS_REGISTRY, "translit_xlmr")
        without_plugin.delitem(registry.REGISTRIES["criterion"]["dataclass_registry"], "translit_alignment")
        add_defaults(cfg)
        cfg = OmegaConf.create(OmegaConf.to_container(cfg, resolve=True, enum_to_str=True))
    merged = {part: merge_with_parent(dataclass(), cfg[part]) for part, dataclass in PLUGIN_PARTS.items()}
    resolved = {part: OmegaConf.to_container(value, resolve=True, enum_to_str=True) for part, value in merged.items()}
    return OmegaConf.merge(cfg, resolved)
