"""Fine-tuning against a plain loop written here, and what must not depend on anything but the seed."""

import dataclasses
import math
import shutil
from copy import deepcopy
from pathlib import Path

import pytest
import torch
from learner import make_learner
from sklearn.metrics import f1_score

from ppa_plugin.commandline import UserError
from ppa_plugin.evaluation.encoder.loading import import_transformers, load_tokenizer
from ppa_plugin.evaluation.tasks import Recipe
from ppa_plugin.evaluation.transfer.finetune import (
    IGNORED,
    Best,
    Example,
    drawn_from,
    fine_tune,
    load_with_head,
    precision_on,
    predict,
    save,
)

LABELS = ["a", "b", "c"]
RECIPE = Recipe(learning_rate=1e-2, epochs=10, max_length=100, batch_size=4)
CPU = torch.device("cpu")
CLASSIFY, TAG = "AutoModelForSequenceClassification", "AutoModelForTokenClassification"


@pytest.fixture(scope="module")
def learner(tiny_hf_directory, tmp_path_factory):
    """A model that training moves."""
    return make_learner(tiny_hf_directory, tmp_path_factory.mktemp("learner") / "tiny")


@pytest.fixture(scope="module")
def examples():
    """Random ids in three classes, each with a token of its own, 5 to 12 tokens long."""
    generator = torch.Generator().manual_seed(3)
    made = []
    for i in range(18):
        length = int(torch.randint(3, 10, (), generator=generator))
        body = torch.randint(20, 200, (length,), generator=generator).tolist()
        made.append(Example([0, 10 + i % 3, *body, 2], i % 3, i))
    return made


@pytest.fixture(scope="module")
def dev(examples):
    """The wrong class for each text, so that the score falls once the model has learnt."""
    return [Example([*e.token_ids[:-2], 2], (i + 1) % 3, i) for i, e in enumerate(examples)]


def macro_f1(network, examples):
    predicted = predict(network, examples, 1, "fp32")
    return f1_score([e.labels for e in examples], predicted, average="macro", zero_division=0)


def run(directory, examples, dev, recipe=RECIPE, seed=7):
    told = []
    with drawn_from(seed, CPU):
        network = load_with_head(directory, CLASSIFY, LABELS)
        best = fine_tune(
            network, examples, recipe, seed, 1, lambda: macro_f1(network, dev), lambda *line: told.append(line)
        )
    return network, best, told


def plain(directory, examples, dev, recipe, seed):
    """The recipe by torch's AdamW and Transformers' schedule: scores and losses of all epochs, and the parameters."""
    transformers = import_transformers()
    torch.manual_seed(seed)
    network = transformers.XLMRobertaForSequenceClassification.from_pretrained(directory, num_labels=3)
    optimizer = torch.optim.AdamW(network.parameters(), lr=recipe.learning_rate, eps=1e-8, weight_decay=0.0)
    per_epoch = -(-len(examples) // recipe.batch_size)
    updates = -(-per_epoch // recipe.accumulation) * recipe.epochs
    schedule = transformers.get_linear_schedule_with_warmup(optimizer, recipe.warmup, updates)
    generator, history = torch.Generator().manual_seed(seed), []
    for _ in range(recipe.epochs):
        network.train()
        order, losses = torch.randperm(len(examples), generator=generator), []
        chunks = order.split(recipe.batch_size)
        for start in range(0, len(chunks), recipe.accumulation):
            group = chunks[start : start + recipe.accumulation]
            for chunk in group:
                chosen = [examples[i] for i in chunk]
                ids = torch.nn.utils.rnn.pad_sequence(
                    [torch.tensor(e.token_ids) for e in chosen], batch_first=True, padding_value=1
                )
                logits = network(ids, attention_mask=(ids != 1).long()).logits
                loss = torch.nn.functional.cross_entropy(logits, torch.tensor([e.labels for e in chosen]))
                (loss / len(group)).backward()
                losses.append(loss.item())
            if recipe.clip_norm:
                torch.nn.utils.clip_grad_norm_(network.parameters(), recipe.clip_norm)
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
        network.eval()
        with torch.no_grad():
            predicted = [network(torch.tensor([e.token_ids])).logits.argmax().item() for e in dev]
        score = f1_score([e.labels for e in dev], predicted, average="macro", zero_division=0)
        state = {name: tensor.clone() for name, tensor in network.state_dict().items()}
        history.append((sum(losses) / len(losses), score, state))
    return history


@pytest.mark.parametrize(
    "changes", [{}, {"accumulation": 2, "clip_norm": 1.0}, {"warmup": 3, "accumulation": 3, "batch_size": 2}]
)
def test_agrees_with_a_plain_loop_and_keeps_the_best_epoch(learner, examples, dev, changes):
    recipe = dataclasses.replace(RECIPE, optim="adamw_torch", **changes)
    network, best, told = run(learner, examples, dev, recipe)
    history = plain(learner, examples, dev, recipe, seed=7)
    assert [loss for _, loss, *_ in told] == pytest.approx([loss for loss, _, _ in history], rel=1e-4)
    assert [score for _, _, score, *_ in told] == pytest.approx([score for _, score, _ in history])
    scores = [score for _, score, _ in history]
    assert best.epoch == scores.index(max(scores)) + 1
    assert best.score == pytest.approx(max(scores))
    assert best.epochs_run == recipe.epochs
    for name, tensor in network.state_dict().items():
        torch.testing.assert_close(tensor, history[best.epoch - 1][2][name], rtol=1e-3, atol=1e-4)


def test_the_best_epoch_of_these_data_is_not_the_last(learner, examples, dev):
    """Without this, the test above could not tell the best epoch from the last one."""
    _, best, told = run(learner, examples, dev)
    assert best.epoch < RECIPE.epochs
    assert told[-1][2] < best.score


def test_a_tiny_model_learns(learner, examples):
    recipe = Recipe(learning_rate=1e-2, epochs=15, max_length=100, batch_size=4)
    network, best, told = run(learner, examples, examples, recipe)
    assert told[-1][1] < 0.5 * told[0][1]
    assert best.score > 0.9
    assert macro_f1(network, examples) == best.score


def test_a_seed_decides_every_bit_whatever_ran_before(tiny_hf_directory, examples, dev):
    recipe = Recipe(learning_rate=5e-3, epochs=2, max_length=100, batch_size=4)
    torch.manual_seed(1)
    first, _, told = run(tiny_hf_directory, examples, dev, recipe)
    left = torch.get_rng_state()
    torch.rand(100)
    again, _, told_again = run(tiny_hf_directory, examples, dev, recipe)
    assert told == told_again
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), again.parameters(), strict=True))
    torch.manual_seed(1)
    assert torch.equal(left, torch.get_rng_state())
    other, _, _ = run(tiny_hf_directory, examples, dev, recipe, seed=8)
    assert not torch.equal(first.classifier.out_proj.weight, other.classifier.out_proj.weight)


def test_patience(tiny_hf_directory, examples):
    scores = iter([0.2, 0.5, 0.5, 0.4, 0.9, 0.9])
    with drawn_from(1, CPU):
        network = load_with_head(tiny_hf_directory, CLASSIFY, LABELS)
        recipe = Recipe(learning_rate=1e-3, epochs=6, max_length=100, batch_size=9, patience=2)
        best = fine_tune(network, examples, recipe, 1, 1, lambda: next(scores), lambda *line: None)
    assert (best.epoch, best.score, best.epochs_run) == (2, 0.5, 4)


def test_patience_within_epochs_is_counted_in_their_updates(tiny_hf_directory, examples):
    """Five updates an epoch, a score every two: the best one after four, the first an epoch later after ten."""
    scores, told = iter([0.2, 0.5, 0.5, 0.4, 0.3, 0.9]), []
    with drawn_from(1, CPU):
        network = load_with_head(tiny_hf_directory, CLASSIFY, LABELS)
        recipe = dataclasses.replace(RECIPE, patience=1, eval_steps=2)
        best = fine_tune(network, examples, recipe, 1, 1, lambda: next(scores), lambda *line: told.append(line))
    assert [(epoch, step) for epoch, *_, step in told] == [(1, 2), (1, 4), (2, 6), (2, 8), (2, 10)]
    assert best == Best(epoch=1, step=4, score=0.5, epochs_run=2)


def test_the_best_within_an_epoch_is_kept(learner, examples):
    scores, states, told = iter([0.2, 0.9, 0.9, 0.4, 0.3]), [], []

    def dev_score():
        states.append({name: tensor.clone() for name, tensor in network.state_dict().items()})
        return next(scores)

    with drawn_from(1, CPU):
        network = load_with_head(learner, CLASSIFY, LABELS)
        recipe = dataclasses.replace(RECIPE, epochs=3, eval_steps=4)
        best = fine_tune(network, examples, recipe, 1, 1, dev_score, lambda *line: told.append(line))
    assert [(epoch, step) for epoch, *_, step in told] == [(1, 4), (2, 8), (3, 12), (3, 15)]
    assert best == Best(epoch=2, step=8, score=0.9, epochs_run=3)
    assert all(torch.equal(tensor, states[1][name]) for name, tensor in network.state_dict().items())
    assert not torch.equal(network.classifier.out_proj.weight, states[2]["classifier.out_proj.weight"])


def test_dev_scores_within_epochs_change_nothing_in_training(learner, examples, dev):
    """The network that they find in training mode, with dropout, is in it again afterwards."""
    ends, recipe = [], dataclasses.replace(RECIPE, epochs=2, accumulation=2, leftover="carry")
    for eval_steps in (None, 1, 3):
        with drawn_from(7, CPU):
            network = load_with_head(learner, CLASSIFY, LABELS)
            states = []

            def dev_score(network=network, states=states):
                states.append({name: tensor.clone() for name, tensor in network.state_dict().items()})
                return macro_f1(network, dev)

            changed = dataclasses.replace(recipe, eval_steps=eval_steps)
            fine_tune(network, examples, changed, 7, 1, dev_score, lambda *line: None)
        ends.append(states[-1])
    assert all(torch.equal(ends[0][name], end[name]) for end in ends[1:] for name in end)


@pytest.mark.parametrize(
    ("leftover", "accumulation", "updates"),
    [("carry", 2, 24), ("step", 2, 27), ("carry", 17, 3), ("carry", 18, 3), ("step", 18, 3), ("carry", 1, 51)],
)
def test_updates_of_seventeen_batches_in_three_epochs(tiny_hf_directory, examples, leftover, accumulation, updates):
    """The rate falls to 0 over these: what `leftover` carries counts in none of them."""
    told = []
    with drawn_from(1, CPU):
        network = load_with_head(tiny_hf_directory, CLASSIFY, LABELS)
        recipe = Recipe(1e-3, 3, 100, batch_size=1, accumulation=accumulation, leftover=leftover)
        fine_tune(network, examples[:17], recipe, 1, 1, lambda: 0.5, lambda *line: told.append(line))
    assert [step for *_, step in told] == [updates // 3, updates // 3 * 2, updates]


RELEASED = Recipe(2e-5, 15, 100, batch_size=4, accumulation=2, clip_norm=0.5, leftover="carry", eval_steps=7)


def released(network, examples, recipe, seed):
    """Train as the paper's tagging code does, by its formulas, in float64; how many updates.

    AdamW adds epsilon before the bias is corrected. The fifth batch of an epoch leaves its gradient to the next epoch's
    first update. The rate falls from its highest, at the first update, by the same step to 0 after the last.
    """
    network.double()
    weights = [weight for weight in network.parameters() if weight.requires_grad]
    first, second = ([torch.zeros_like(weight) for weight in weights] for _ in range(2))
    total = math.ceil(len(examples) / recipe.batch_size) // recipe.accumulation * recipe.epochs
    generator, done = torch.Generator().manual_seed(seed), 0
    for _ in range(recipe.epochs):
        order = torch.randperm(len(examples), generator=generator)
        for number, batch in enumerate(order.split(recipe.batch_size), 1):
            losses = []
            for example in (examples[i] for i in batch):
                scores = network(torch.tensor([example.token_ids])).logits[0].log_softmax(-1)
                losses += [-scores[at, label] for at, label in enumerate(example.labels) if label != IGNORED]
            (torch.stack(losses).mean() / recipe.accumulation).backward()
            if number % recipe.accumulation:
                continue
            rate = recipe.learning_rate * (total - done) / total
            done += 1
            correction = math.sqrt(1 - 0.999**done) / (1 - 0.9**done)
            norm = torch.cat([weight.grad.flatten() for weight in weights]).norm()
            with torch.no_grad():
                for weight, m, v in zip(weights, first, second, strict=True):
                    gradient = weight.grad * min(1.0, recipe.clip_norm / (norm + 1e-6))
                    m.mul_(0.9).add_(0.1 * gradient)
                    v.mul_(0.999).add_(0.001 * gradient**2)
                    weight -= rate * correction * m / (v.sqrt() + 1e-8)
                    weight.grad = None
    return done


def test_thirty_updates_are_those_of_the_paper(learner, examples):
    """Without dropout, in which the two would draw differently."""
    tagged = [
        Example(e.token_ids, [IGNORED, *(token % 3 for token in e.token_ids[1:-1]), IGNORED], i)
        for i, e in enumerate(examples)
    ]

    def network():
        with drawn_from(3, CPU):
            loaded = load_with_head(learner, TAG, LABELS)
        for module in loaded.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0
        return loaded

    expected = network()
    assert released(expected, tagged, RELEASED, seed=5) == 30
    ends = {}
    for changes in ({}, {"optim": "adamw_torch"}, {"leftover": "step"}):
        found, scores, told = network(), iter(range(9)), []
        recipe = dataclasses.replace(RELEASED, **changes)
        fine_tune(found, tagged, recipe, 5, 1, lambda scores=scores: next(scores), lambda *x, told=told: told.append(x))
        pairs = zip(found.parameters(), expected.parameters(), strict=True)
        ends[tuple(changes)] = max((one.double() - other).abs().max().item() for one, other in pairs)
        if not changes:
            assert [step for *_, step in told] == [7, 14, 21, 28, 30]
    assert ends.pop(()) < 1e-6
    assert min(ends.values()) > 1e-5  # what another optimizer and other updates would give


def test_a_loss_that_is_no_number_ends_training(tiny_hf_directory, examples):
    with drawn_from(1, CPU):
        network = load_with_head(tiny_hf_directory, CLASSIFY, LABELS)
        with torch.no_grad():
            network.classifier.out_proj.bias.fill_(float("nan"))
        with pytest.raises(UserError, match="the loss of epoch 1 is nan"):
            fine_tune(network, examples, RECIPE, 1, 1, lambda: 0.0, lambda *line: None)


def test_weight_decay_leaves_biases_and_layer_norms_out(tiny_hf_directory, examples):
    """With a gradient that is nearly nothing beside epsilon, what shrinks is what is decayed."""
    recipe = Recipe(learning_rate=1e-2, epochs=1, max_length=100, batch_size=18, weight_decay=0.5, adam_eps=1e6)
    with drawn_from(1, CPU):
        network = load_with_head(tiny_hf_directory, CLASSIFY, LABELS)
        before = {name: tensor.clone() for name, tensor in network.named_parameters()}
        fine_tune(network, examples, recipe, 1, 1, lambda: 0.0, lambda *line: None)
    for name, tensor in network.named_parameters():
        share = 1.0 if "LayerNorm" in name or name.endswith("bias") else 1 - 1e-2 * 0.5
        torch.testing.assert_close(tensor, before[name] * share, rtol=1e-5, atol=1e-6)


def test_predictions_are_in_order_and_of_each_sentence_alone(tiny_hf_directory, examples):
    network = load_with_head(tiny_hf_directory, TAG, LABELS).eval()
    tagged = [Example(e.token_ids, [IGNORED] * len(e.token_ids), i) for i, e in enumerate(examples * 5)]
    with torch.no_grad():
        expected = [network(torch.tensor([e.token_ids])).logits[0].argmax(-1).tolist() for e in tagged]
    assert predict(network, tagged, 1, "fp32") == expected


def test_bf16_is_near_fp32_on_the_cpu(tiny_hf_directory, examples, dev):
    """The losses may be equal to the last digit here; what the products are made in shows at their results."""
    recipe = Recipe(learning_rate=1e-3, epochs=1, max_length=100, batch_size=4)
    losses, products = {}, {}
    for precision in ("fp32", "bf16"):
        seen = products[precision] = set()
        hook = torch.nn.modules.module.register_module_forward_hook(
            lambda module, _, output, seen=seen: seen.add(output.dtype) if isinstance(module, torch.nn.Linear) else None
        )
        try:
            network, _, told = run(tiny_hf_directory, examples, dev, dataclasses.replace(recipe, precision=precision))
        finally:
            hook.remove()
        losses[precision] = told[0][1]
    assert losses["bf16"] == pytest.approx(losses["fp32"], rel=0.1)
    assert products["fp32"] == {torch.float32}
    assert torch.bfloat16 in products["bf16"]
    assert {parameter.dtype for parameter in network.parameters()} == {torch.float32}


def test_the_default_precision(tiny_hf_directory):
    assert precision_on(RECIPE, CPU) == "fp32"
    assert precision_on(RECIPE, torch.device("cuda")) == "fp32"
    auto = dataclasses.replace(RECIPE, precision="auto")
    assert (precision_on(auto, CPU), precision_on(auto, torch.device("cuda"))) == ("fp32", "fp16")
    with pytest.raises(UserError, match="--precision fp16 needs a CUDA device, not cpu"):
        precision_on(dataclasses.replace(RECIPE, precision="fp16"), CPU)


def test_what_is_saved_loads_whole_with_labels_and_tokenizer(tiny_hf_directory, examples, tmp_path):
    transformers = import_transformers()
    network = load_with_head(tiny_hf_directory, TAG, LABELS).eval()
    save(network, tiny_hf_directory, tmp_path / "best" / "a")
    assert sorted(path.name for path in (tmp_path / "best").iterdir()) == ["a"]
    modes = {path.stat().st_mode for path in (tmp_path / "best/a").iterdir()}
    assert (tmp_path / "best/a/model.safetensors").is_file()
    assert len(modes) == 1
    loaded = transformers.AutoModelForTokenClassification.from_pretrained(tmp_path / "best/a")
    assert loaded.config.id2label == dict(enumerate(LABELS))
    ids = torch.tensor([examples[0].token_ids])
    assert torch.equal(loaded(ids).logits, network(ids).logits)
    assert (
        load_tokenizer(tmp_path / "best/a")("city")["input_ids"]
        == load_tokenizer(tiny_hf_directory)("city")["input_ids"]
    )
    with pytest.raises(UserError, match="has a trained head already"):
        load_with_head(tmp_path / "best/a", TAG, LABELS)


def test_an_encoder_whose_weights_are_another_models(tiny_hf_directory, tmp_path):
    """Transformers fills such an encoder with random numbers and goes on."""
    from safetensors.torch import load_file, save_file

    copy = Path(shutil.copytree(tiny_hf_directory, tmp_path / "copy"))
    state = {n: t for n, t in load_file(copy / "model.safetensors").items() if ".layer.1." not in n}
    save_file(state, copy / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(UserError, match=r"do not have roberta\.encoder\.layer\.1\."):
        load_with_head(copy, CLASSIFY, LABELS)


def test_the_encoder_is_the_directorys_and_in_fp32(tiny_hf_directory, tiny_hf_model, tmp_path):
    copy = Path(shutil.copytree(tiny_hf_directory, tmp_path / "half"))
    deepcopy(tiny_hf_model).half().save_pretrained(copy)  # .half() works in place, and other tests share the model
    for directory in (tiny_hf_directory, copy):
        network = load_with_head(directory, TAG, LABELS)
        assert {parameter.dtype for parameter in network.parameters()} == {torch.float32}
        for name, tensor in network.roberta.state_dict().items():
            torch.testing.assert_close(tensor, tiny_hf_model.roberta.state_dict()[name], rtol=1e-3, atol=1e-3)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("precision", ["fp16", "bf16", "fp32"])
def test_on_a_gpu_training_goes_as_on_the_cpu(learner, examples, precision):
    """Without dropout, whose draws are the device's own."""
    told = {}
    for device in (CPU, torch.device("cuda")):
        recipe = dataclasses.replace(RECIPE, precision=precision if device.type == "cuda" else "fp32")
        with drawn_from(7, device):
            network = load_with_head(learner, CLASSIFY, LABELS).to(device)
            for module in network.modules():
                if isinstance(module, torch.nn.Dropout):
                    module.p = 0.0
            losses = told.setdefault(device.type, [])
            fine_tune(
                network, examples, recipe, 7, 1, lambda: 0.0, lambda epoch, loss, *_, told=losses: told.append(loss)
            )
            assert predict(network, examples, 1, precision_on(recipe, device))
    assert told["cuda"][:3] == pytest.approx(told["cpu"][:3], rel=0.05)
