"""Step 3: SentencePiece pieces of both sides, shuffled, split into training and validation."""

import itertools
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import sentencepiece
from ppa_preprocess.group import Group
from ppa_preprocess.lines import count_lines, open_lines, read_json_lines, write_json_lines
from ppa_preprocess.split import split_pairs
from ppa_preprocess.workspace import SIDES, Workspace, fresh_directory

from ppa_plugin.commandline import UserError, progress
from ppa_plugin.data.vocabulary import load_sentencepiece, pieces
from ppa_plugin.files import read_lines

_BATCH_PAIRS = 2048
_SPECIALS_A_SIDE = 2  # <s> and </s>


class Encoder:
    """Lines to the pieces that fairseq looks up: what it finds is SentencePiece id + 1 (`<unk>`: 3), always."""

    def __init__(self, processor: sentencepiece.SentencePieceProcessor, threads: int) -> None:
        self._processor = processor
        self._threads = threads
        # Not SentencePiece's own pieces: its piece for an unknown character is the character itself, and a string of
        # unknown ones could spell an entry of the dictionary, such as <mask>.
        self._pieces = ["<unk>", "<s>", "</s>", *pieces(processor)]
        self.unknown = processor.unk_id()

    def ids(self, lines: list[str]) -> list[list[int]]:
        """SentencePiece ids of each line, without specials."""
        return self._processor.encode(lines, out_type=int, num_threads=self._threads)

    def text(self, ids: Iterable[int]) -> str:
        """The pieces of these ids, separated by spaces."""
        return " ".join(self._pieces[i] for i in ids)


def run(group: Group, spm: Path, workspace: Workspace, workers: int) -> None:
    """Write `encoded/<lang>/{train,valid}.{orig,latn}` for every language.

    Raises `UserError` where a side is missing or not UTF-8, where the sides differ in lines, and where nothing is left.
    """
    encoder = None
    for lang in group.languages:
        inputs = task_inputs(group, lang, spm, workspace)
        if workspace.is_done(f"encode {lang}", inputs):
            workspace.say(f"encode    {lang}  unchanged")
            continue
        encoder = encoder or Encoder(load_sentencepiece(spm), workers)
        target = workspace.encoded(lang)
        failures = workspace.dropped_by("romanize", lang)
        reasons = (
            {failure["line"]: failure["reason"] for failure in read_json_lines(failures)} if failures.is_file() else {}
        )
        with fresh_directory(target) as directory:
            counts, dropped = encode_pairs(encoder, workspace.pair(lang), directory, group, lang, reasons)
        record = workspace.dropped_by("encode", lang)
        write_json_lines(record, dropped)
        workspace.record(f"encode {lang}", inputs, [*sorted(target.iterdir()), record], counts)
        workspace.say(
            f"encode    {lang}  {counts['lines']:,} pairs read, {counts['train']:,} training and {counts['valid']:,} "
            f"validation pairs -> {target}, {len(dropped):,} dropped"
        )
    workspace.gather_dropped(group.languages)


def task_inputs(group: Group, lang: str, spm: Path, workspace: Workspace) -> dict[str, Any]:
    """What the encoded files of a language depend on; raises `UserError` where a side of the pairs is missing."""
    for side in workspace.pair(lang):
        if not side.is_file():
            raise UserError(f"{side} is missing: run `ppa-preprocess romanize` first, or `all`")
    orig, latn = workspace.pair(lang)
    failures = workspace.dropped_by("romanize", lang)
    return {
        "orig": workspace.digest(orig),
        "latn": workspace.digest(latn),
        "failures": workspace.digest(failures) if failures.is_file() else None,
        "sentencepiece": workspace.digest(spm),
        "sentencepiece_version": sentencepiece.__version__,
        "max_tokens": group.max_tokens,
        "valid_size": group.valid_size,
        "seed": group.seed,
    }


def encode_pairs(
    encoder: Encoder, pair: tuple[Path, Path], directory: Path, group: Group, lang: str, reasons: dict[int, str]
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Encode a language's pairs into `directory`, as `{train,valid}.{orig,latn}`, line i belonging to line i.

    Pairs with an empty side are dropped, sides cut to `group.max_tokens` tokens with <s> and </s>. `reasons` says, by
    line from 1, why a Latin side is empty. Returns what was counted (tokens as in the .idx: one </s> a line included)
    and a record of each dropped pair, by line. Memory is some 50 bytes a pair, however long.
    """
    lines = [count_lines(side) for side in pair]
    if lines[0] != lines[1]:
        raise UserError(
            f"{pair[0]} has {lines[0]:,} lines and {pair[1]} has {lines[1]:,}: line i of one has to belong "
            "to line i of the other; romanize again"
        )
    most = group.max_tokens - _SPECIALS_A_SIDE
    numbers = array("q")
    counts = {"lines": lines[0], "cut": dict.fromkeys(SIDES, 0), "unknown": dict.fromkeys(SIDES, 0)}
    dropped: list[dict[str, Any]] = []
    whole = [directory / f"whole.{side}" for side in SIDES]
    with open(whole[0], "wb") as orig, open(whole[1], "wb") as latn:
        rows = progress(_encoded_pairs(encoder, pair), f"encode {lang}", lines[0])
        for number, (text, *ids) in enumerate(rows, 1):
            if not all(ids):
                reason = "empty original" if not ids[0] else reasons.get(number, "empty romanization")
                dropped.append({"lang": lang, "line": number, "reason": reason, "text": text})
                continue
            numbers.append(number)
            for side, side_ids, handle in zip(SIDES, ids, (orig, latn), strict=True):
                counts["cut"][side] += len(side_ids) > most
                counts["unknown"][side] += side_ids[:most].count(encoder.unknown)
                handle.write(encoder.text(side_ids[:most]).encode() + b"\n")
    if not numbers:
        raise UserError(f"{pair[0]}: none of the {lines[0]:,} pairs of {lang} is left, each has an empty side")
    with open_lines(pair[0]) as texts:
        split, leaked = split_pairs(whole, directory, group, lang)
        for index in leaked:
            number = numbers[index]
            text = texts[number - 1].decode()
            dropped.append({"lang": lang, "line": number, "reason": "text is in valid", "text": text})
    dropped.sort(key=lambda record: record["line"])
    counts["dropped"] = dict(sorted(Counter(record["reason"] for record in dropped).items()))
    return counts | split, dropped


def _encoded_pairs(encoder: Encoder, pair: tuple[Path, Path]) -> Iterator[tuple[str, list[int], list[int]]]:
    """Yield (original text, its ids, ids of its romanization) for every line of a pair of files."""
    pairs = zip(*(read_lines(side) for side in pair), strict=True)
    for batch in iter(lambda: list(itertools.islice(pairs, _BATCH_PAIRS)), []):
        orig, latn = (list(side) for side in zip(*batch, strict=True))
        yield from zip(orig, encoder.ids(orig), encoder.ids(latn), strict=True)
