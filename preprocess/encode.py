"""Step 3: SentencePiece tokens of both sides, shuffled, split into training and validation."""

import functools
import itertools
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import sentencepiece
from ppa_preprocess.group import Group
from ppa_preprocess.romanize import made_with
from ppa_preprocess.text.exclusion import excluded_settings, load_matcher
from ppa_preprocess.tokens.dropped import Reasons, adding_nothing, write_dropped
from ppa_preprocess.tokens.line_encoder import (
    IN_VALID,
    KEPT,
    EncodingSettings,
    LineEncoder,
    encode_chunk,
    load_encoder,
)
from ppa_preprocess.tokens.split import RULE, draw, split_pairs
from ppa_preprocess.tokens.storage import (
    Tokens,
    lines_path,
    open_tokens,
    save_array,
    sizes_path,
    text_path,
    tokens_path,
)
from ppa_preprocess.workspace import Workspace, fresh_directory

from ppa_plugin.commandline import UserError, progress
from ppa_plugin.data.blocks import ALIGN
from ppa_plugin.data.masking import SIDES
from ppa_plugin.files import count_lines, read_lines
from ppa_plugin.parallel import Workers, map_ordered

# some 50 ms of work
_CHUNK_PAIRS = 2048
# above it a language is named: of the scripts that XLM-R was trained on, the share is near 0
_MUCH_UNKNOWN = 0.2


def run(group: Group, spm: Path, workspace: Workspace, workers: Workers) -> None:
    """Write `encoded/<lang>/` for every language, as the group's binarizer reads it (`ppa_preprocess.tokens.storage`).

    Raises `UserError` where a side is missing or not UTF-8, where the sides differ in lines, and where nothing is left.
    """
    encoding = EncodingSettings(spm, workspace.digest(spm), group.max_tokens, group.filters.exclude, group.alignment)
    for lang in group.languages:
        inputs = task_inputs(group, lang, spm, workspace)
        _check_romanized(lang, group, inputs, workspace)
        if workspace.is_done(f"encode {lang}", inputs):
            workspace.say(f"encode    {lang}  unchanged")
        else:
            target, pair = workspace.encoded(lang), workspace.pair(lang)
            edges = workspace.edges(lang) if group.alignment else None
            with fresh_directory(target) as directory:
                romanizers = inputs.get("romanizers", [None])
                counts, outcomes = encode_pairs(encoding, pair, directory, group, lang, workers, len(romanizers), edges)
            record, failures = workspace.dropped_by("encode", lang), workspace.dropped_by("romanize", lang)
            reasons = Reasons(failures, group.filters.exclude, romanizers, len(outcomes) // len(romanizers))
            counts["dropped"] = write_dropped(record, lang, outcomes, pair, reasons)
            workspace.record(f"encode {lang}", inputs, [*sorted(target.iterdir()), record], counts)
            dropped = f"{sum(counts['dropped'].values()):,} dropped"
            workspace.say(
                f"encode    {lang}  {counts['lines']:,} pairs read, {counts['train']:,} training and "
                f"{counts['valid']:,} validation pairs -> {target}, {dropped}{_blocks_found(counts)}"
            )
        for warning in unknown_warnings(lang, workspace.recorded(f"encode {lang}")["counts"]):
            workspace.say(f"warning   {warning}")
    workspace.remove_others("encode", group.languages)
    workspace.gather_dropped(group.languages)


def _check_romanized(lang: str, group: Group, inputs: dict[str, Any], workspace: Workspace) -> None:
    """Raise `UserError` where a language's pairs were made here, of another text or with another romanizer."""
    romanize, text = _made_here(lang, inputs, workspace), workspace.text(lang)
    if romanize is None:
        return
    again = "run `ppa-preprocess romanize` first, or `all`"
    if text.is_file() and workspace.digest(text) != romanize["inputs"]["text"]:
        raise UserError(f"{workspace.pair(lang)[1]} was romanized from what {text} was before: {again}")
    # not the punctuation, which a flag of `romanize` alone may decide
    made, names = made_with(romanize), [choice.name for choice in group.romanizers_of(lang)]
    compared = {
        "romanizer": (", ".join(each["romanizer"] for each in made), ", ".join(names)),
        "code": (made[0]["code"], group.languages[lang].uroman),
    }
    for key, (before, now) in compared.items():
        if before != now:
            raise UserError(f"{workspace.pair(lang)[1]} was made with another {key} ({before}, now {now}): {again}")


def _made_here(lang: str, inputs: dict[str, Any], workspace: Workspace) -> dict[str, Any] | None:
    """The record of a language that was romanized; None where its pairs were brought along."""
    romanize = workspace.recorded(f"romanize {lang}")
    return romanize if romanize and {inputs["orig"], inputs["latn"]} <= set(romanize["files"].values()) else None


def task_inputs(group: Group, lang: str, spm: Path, workspace: Workspace) -> dict[str, Any]:
    """What the encoded files of a language depend on; raises `UserError` where a side of the pairs is missing."""
    for side in workspace.pair(lang):
        if not side.is_file():
            raise UserError(f"{side} is missing: run `ppa-preprocess romanize` first, or `all`")
    orig, latn = workspace.pair(lang)
    edges = workspace.edges(lang)
    if group.alignment and not edges.is_file():
        raise UserError(
            f"{edges} is missing, and the group says alignment: run `ppa-preprocess romanize` first, or `all`"
        )
    failures = workspace.dropped_by("romanize", lang)
    inputs = {
        "orig": workspace.digest(orig),
        "latn": workspace.digest(latn),
        "failures": workspace.digest(failures) if failures.is_file() else None,
        "sentencepiece": workspace.digest(spm),
        "sentencepiece_version": sentencepiece.__version__,
        "max_tokens": group.max_tokens,
        "valid_size": group.valid_size,
        "seed": group.seed,
        "binarizer": group.binarizer,
        "text_in_valid": RULE,
        **excluded_settings(group.filters.exclude),
        **({"edges": workspace.digest(edges)} if group.alignment else {}),
    }
    romanize = _made_here(lang, inputs, workspace)
    romanizers = [each["romanizer"] for each in made_with(romanize)] if romanize else []
    return inputs | {"romanizers": romanizers} if len(romanizers) > 1 else inputs


def unknown_shares(counts: dict[str, Any]) -> dict[str, float]:
    """By side, the share of `<unk>` among a language's tokens for training and validation, </s> left out."""
    lines = counts["train"] + counts["valid"]
    tokens = {side: sum(counts["tokens"][split][side] for split in ("train", "valid")) - lines for side in SIDES}
    return {side: counts["unknown"][side] / tokens[side] for side in SIDES}


def unknown_warnings(lang: str, counts: dict[str, Any]) -> list[str]:
    """A sentence for each side of a language that the vocabulary hardly knows, and where token blocks are missing."""
    none = "blocks" in counts and not counts["blocks"]["pairs"]
    warnings = [f"no pair of {lang} has token blocks: its romanizer does not say which characters became which"] * none
    return warnings + [
        f"{share:.0%} of the tokens of {lang} ({side}) are unknown to this vocabulary: extend it (`ppa-convert "
        f"extend --text pairs/{lang}.{side}`) or leave the language out"
        for side, share in unknown_shares(counts).items()
        if share > _MUCH_UNKNOWN
    ]


def encode_pairs(
    encoding: EncodingSettings,
    pair: tuple[Path, Path],
    directory: Path,
    group: Group,
    lang: str,
    workers: Workers,
    romanizers: int = 1,
    edges: Path | None = None,
) -> tuple[dict[str, Any], np.ndarray]:
    """Encode a language's pairs into `directory`; those of `romanizers` one after the other, with the same originals.

    With `edges`, the marked romanizations, token blocks too.

    Pairs with an empty side are dropped, those with a romanization in `encoding.exclude`, and those with one that an
    earlier romanizer gave for the line; sides are cut to `encoding.max_tokens` tokens with <s> and </s>. Returns what
    was counted (tokens as in the .idx: one </s> a line included; unknown ones of training and validation alone) and
    what became of each pair, uint8 (lines,). Memory is some 60 bytes a pair, however long.
    """
    texts = (*pair, edges) if edges else pair
    lines = [count_lines(side) for side in texts]
    for other, count in zip(texts, lines, strict=True):
        if count != lines[0]:
            raise UserError(
                f"{pair[0]} has {lines[0]:,} lines and {other} has {count:,}: line i of one has to belong "
                "to line i of the other; romanize again"
            )
    idle = adding_nothing(pair, lines[0], romanizers)
    encoder = load_encoder(encoding.spm, encoding.sha256)  # before the processes are forked
    load_matcher(encoding.exclude)
    counts, outcomes = _write_tokens(encoding, texts, directory, lang, idle, workers)
    kept = np.flatnonzero(outcomes == KEPT)
    if not len(kept):
        why = "an empty side" + " or is in the evaluation data" * bool(encoding.exclude)
        raise UserError(f"{pair[0]}: none of the {lines[0]:,} pairs of {lang} is left, each has {why}")
    with open_tokens(directory, "orig", encoder.dtype) as orig, open_tokens(directory, "latn", encoder.dtype) as latn:
        valid, rest = draw(kept, lines[0] // romanizers, group.valid_size, group.seed, lang)
        split = split_pairs((orig, latn), pair, encoder, valid, rest)
        outcomes[split.in_valid] = IN_VALID
        for side, tokens in zip(SIDES, (orig, latn), strict=True):
            counts["unknown"][side] -= sum(
                tokens.count(encoder.specials.unk, row) for row in tokens.take(split.in_valid)
            )
        for name, chosen in (("train", split.train), ("valid", split.valid)):
            save_array(lines_path(directory, name), chosen)
            counts[name] = len(chosen)
            counts["tokens"][name] = {"orig": int(orig.sizes[chosen].sum()), "latn": int(latn.sizes[chosen].sum())}
            if group.binarizer == "fairseq-preprocess" and len(chosen):
                _write_text(text_path(directory, name, "orig"), encoder, orig, chosen)
                _write_text(text_path(directory, name, "latn"), encoder, latn, chosen)
    if edges:
        sizes = np.load(sizes_path(directory, ALIGN))[np.concatenate([split.train, split.valid])]
        counts["blocks"] = {"pairs": int((sizes > 1).sum()), "blocks": int((sizes // 2).sum())}
    if group.binarizer == "fairseq-preprocess":
        for side in SIDES:
            tokens_path(directory, side).unlink()
            sizes_path(directory, side).unlink()
    return counts, outcomes


def _write_tokens(
    encoding: EncodingSettings,
    texts: tuple[Path, ...],
    directory: Path,
    lang: str,
    idle: np.ndarray,
    workers: Workers,
) -> tuple[dict[str, Any], np.ndarray]:
    """Write the tokens of every line, in the order of `pairs/`; returns counts and what became of each pair.

    Those that have one in `idle`, uint8 (lines,), get no tokens.
    """
    lines = len(idle)
    files = (*SIDES, ALIGN) if encoding.alignment else SIDES
    sizes = {side: np.zeros(lines, dtype=np.int32) for side in files}
    counts = {"lines": lines, "cut": dict.fromkeys(SIDES, 0), "unknown": dict.fromkeys(SIDES, 0), "tokens": {}}

    def written(handles: list[BinaryIO]) -> Iterator[int]:
        start = 0
        for chunk in chunks:
            stop = start + len(chunk.outcomes)
            if encoding.alignment:
                handles[-1].write(b"".join(chunk.blocks))
                sizes[ALIGN][start:stop] = list(map(len, chunk.blocks))
            for number, (side, handle) in enumerate(zip(SIDES, handles, strict=False)):
                handle.write(chunk.tokens[number])
                sizes[side][start:stop] = chunk.sizes[number]
                counts["cut"][side] += chunk.cut[number]
                counts["unknown"][side] += chunk.unknown[number]
            start = stop
            yield from chunk.outcomes

    function = functools.partial(encode_chunk, encoding)
    with closing(map_ordered(function, _chunks(texts, idle), workers)) as chunks, ExitStack() as opened:
        handles = [opened.enter_context(open(tokens_path(directory, side), "wb")) for side in files]
        outcomes = np.fromiter(progress(written(handles), f"encode {lang}", lines), dtype=np.uint8, count=lines)
    for side in files:
        save_array(sizes_path(directory, side), sizes[side])
    return counts, np.where(idle, idle, outcomes)


def _chunks(texts: tuple[Path, ...], idle: np.ndarray) -> Iterator[tuple[list[str], ...]]:
    """Yield originals, their romanizations and, with `alignment`, those with edges marked, some thousand at a time.

    Of the latter two, empty ones where `idle`.
    """
    orig, *others = map(read_lines, texts)
    if idle.any():
        others = [_emptied(other, idle) for other in others]
    sides = [orig, *others]
    while (chunk := tuple(list(itertools.islice(side, _CHUNK_PAIRS)) for side in sides))[0]:
        yield chunk


def _emptied(lines: Iterable[str], idle: np.ndarray) -> Iterator[str]:
    return ("" if out else line for line, out in zip(lines, idle, strict=True))


def _blocks_found(counts: dict[str, Any]) -> str:
    """What is said of a language's token blocks; nothing without `alignment`."""
    if "blocks" not in counts:
        return ""
    pairs, found = counts["train"] + counts["valid"], counts["blocks"]
    return f", {found['pairs'] / pairs:.1%} of the pairs with token blocks, {found['blocks'] / pairs:.1f} a pair"


def _write_text(path: Path, encoder: LineEncoder, tokens: Tokens, lines: np.ndarray) -> None:
    with open(path, "w", encoding="utf-8", newline="\n") as handle:
        for row in progress(tokens.take(lines), f"write {path.name}", len(lines)):
            handle.write(f"{encoder.text(row)}\n")
