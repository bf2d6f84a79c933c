"""Whether an output directory holds what its manifest says."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

from ppa_preprocess.manifest import FURTHER_PAIRS
from ppa_preprocess.round_trip import ReEncoder, Speller, check_pairs
from ppa_preprocess.tokens.alignment import BlockMaker, check_sums, has_blocks
from ppa_preprocess.workspace import Workspace

from ppa_plugin.commandline import UserError, align
from ppa_plugin.data.blocks import ALIGN
from ppa_plugin.data.masking import SIDES
from ppa_plugin.data.shards import binarized_path, index_sizes
from ppa_plugin.data.tokenizer_file import load_tokenizer_file
from ppa_plugin.data.vocabulary import (
    check_dictionary,
    find_tokenizer,
    is_tokenizer_json,
    load_dictionary,
    load_sentencepiece,
)
from ppa_plugin.files import decode_text, read_json_lines, sha256

_HEADER = ("language", "read", "filtered", "not sampled", "dropped", "train", "valid", "tokens orig", "tokens latn")
_FURTHER = "further pairs"  # beside what was read, where there are any
# pairs a language that are read back as text; all of them where it has fewer
SAMPLE = 100


def run(workspace: Workspace, sample: int = SAMPLE) -> dict[str, Any]:
    """Check `data-bin/` and `dropped.jsonl` against the manifest, print a table of what is there, return the manifest.

    Checksums, lines and tokens of every side, side against side, token blocks against both, read = filtered + not
    sampled + kept + dropped, dictionary = SentencePiece model, and `sample` pairs of each language against the text of
    their lines. Raises `UserError` at the first thing that does not agree.
    """
    manifest = _read_manifest(workspace.manifest)
    try:
        _check_files(manifest, workspace.data_bin)
        dictionary = load_dictionary(workspace.dictionary)
        tokenizer = find_tokenizer(workspace.data_bin) or workspace.sentencepiece
        check_dictionary(dictionary, tokenizer)
        for lang, language in manifest["languages"].items():
            _check_sum(lang, language)
            _check_lines_and_tokens(lang, language, manifest["group"]["shards"], workspace)
            if has_blocks(manifest):
                _check_blocks(lang, language, manifest["group"], workspace)
        _check_dropped(manifest, workspace.dropped)
        longest = manifest["group"]["max_tokens"]
        maker = None
        if is_tokenizer_json(tokenizer):
            speller = ReEncoder(load_tokenizer_file(tokenizer), longest)
        else:
            processor = load_sentencepiece(tokenizer)
            speller = Speller(processor, longest)
            maker = BlockMaker(processor, longest) if has_blocks(manifest) else None
        compared = check_pairs(manifest, workspace, speller, sample, maker)
    except (KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{workspace.manifest} is not a manifest of this version ({error!r}); binarize again") from None
    for row in _table(manifest):
        workspace.say(row)
    for language in manifest["languages"].values():
        for warning in language.get("warnings", ()):  # manifests of earlier versions have none
            workspace.say(f"warning   {warning}")
    files = manifest["files"]
    workspace.say(
        f"verified: {len(files)} files in {workspace.data_bin} are as the manifest says, {compared:,} pairs drawn from "
        "them spell their lines of pairs/"
    )
    return manifest


def _read_manifest(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise UserError(f"{path} is missing: run `ppa-preprocess all` (or `binarize`) to the end first")
    try:
        return json.loads(decode_text(path.read_bytes(), path))
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{path} is not a readable manifest: {error}") from None


def _check_files(manifest: dict[str, Any], data_bin: Path) -> None:
    for name, digest in manifest["files"].items():
        path = data_bin / name
        if not path.is_file():
            raise UserError(f"{path} is missing, the manifest lists it")
        if sha256(path) != digest:
            raise UserError(f"{path} is not the file that the manifest lists: its checksum differs")
    listed = {data_bin / name for name in manifest["files"]}
    listed |= {above for path in listed for above in path.parents}
    shards = {path for path in data_bin.glob("shard*") if path.is_dir()}
    # an empty shard too: fairseq would make an epoch of it
    if surplus := sorted((shards | {path for shard in shards for path in shard.rglob("*")}) - listed):
        raise UserError(f"{surplus[-1]} is not in the manifest, and training may read it; remove it")
    if len(shards) != manifest["group"]["shards"]:
        raise UserError(f"{data_bin} holds {len(shards)} shards, the manifest says {manifest['group']['shards']}")


def _check_sum(lang: str, language: dict[str, Any]) -> None:
    filtered, dropped = (sum(language[key].values()) for key in ("filtered", "dropped"))
    parts = filtered + language["not_sampled"] + language["kept"] + dropped
    further = language.get(FURTHER_PAIRS, 0)
    if language["read"] + further != parts or language["kept"] != language["train"] + language["valid"]:
        more = f" and {further:,} pairs of them by further romanizers" * bool(further)
        raise UserError(
            f"manifest: {lang} has {language['read']:,} lines read{more}, but {filtered:,} filtered out, "
            f"{language['not_sampled']:,} not sampled, {language['kept']:,} kept (train {language['train']:,}, valid "
            f"{language['valid']:,}) and {dropped:,} dropped"
        )


def _check_lines_and_tokens(lang: str, language: dict[str, Any], shards: int, workspace: Workspace) -> None:
    for split in ("train", "valid"):
        lines, tokens = Counter(), Counter()
        for number in range(shards):
            sizes = {}
            for side in SIDES:
                prefix = binarized_path(workspace.shard(number, lang), split, side)
                if prefix.with_name(f"{prefix.name}.idx").is_file():
                    sizes[side] = index_sizes(prefix)
                    lines[side] += len(sizes[side])
                    tokens[side] += int(sizes[side].sum())
            if len({len(side_sizes) for side_sizes in sizes.values()}) > 1 or len(sizes) == 1:
                raise UserError(f"{workspace.shard(number, lang)}: the sides of {split} differ in lines")
        for side in SIDES:
            if (lines[side], tokens[side]) != (language[split], language["tokens"][split][side]):
                raise UserError(
                    f"{lang} {split}.{side} has {lines[side]:,} lines and {tokens[side]:,} tokens in its .idx files, "
                    f"the manifest says {language[split]:,} and {language['tokens'][split][side]:,}"
                )


def _check_blocks(lang: str, language: dict[str, Any], group: dict[str, Any], workspace: Workspace) -> None:
    """Raise `UserError` where token blocks do not add up to the tokens of their pairs, or to the manifest's count."""
    pairs = blocks = 0
    for split in ("train", "valid"):
        for number in range(group["shards"]):
            directory = workspace.shard(number, lang)
            prefix = binarized_path(directory, split, ALIGN)
            sides = [binarized_path(directory, split, side) for side in SIDES]
            if prefix.with_name(f"{prefix.name}.idx").is_file():
                sizes = tuple(map(index_sizes, sides))
                found = check_sums(prefix, sizes, group["max_tokens"])
                pairs, blocks = pairs + found[0], blocks + found[1]
    expected = language["blocks"]
    if (pairs, blocks) != (expected["pairs"], expected["blocks"]):
        raise UserError(
            f"{lang} has {blocks:,} token blocks in {pairs:,} pairs, the manifest says {expected['blocks']:,} in "
            f"{expected['pairs']:,}"
        )


def _check_dropped(manifest: dict[str, Any], path: Path) -> None:
    counted = Counter((record["lang"], record["reason"]) for record in read_json_lines(path))
    expected = Counter(
        {
            (lang, reason): count
            for lang, language in manifest["languages"].items()
            for reason, count in language["dropped"].items()
        }
    )
    for lang, reason in counted | expected:
        if counted[lang, reason] != expected[lang, reason]:
            raise UserError(
                f"{path} has {counted[lang, reason]:,} pairs of {lang} with the reason {reason!r}, the manifest says "
                f"{expected[lang, reason]:,}"
            )


def _table(manifest: dict[str, Any]) -> list[str]:
    """The rows of a table of all languages and their sum, columns aligned."""
    rows, header = [], list(_HEADER)
    several = any(FURTHER_PAIRS in language for language in manifest["languages"].values())
    if several:
        header.insert(2, _FURTHER)
    for lang, language in manifest["languages"].items():
        tokens = [sum(language["tokens"][split][side] for split in ("train", "valid")) for side in SIDES]
        filtered = sum(language["filtered"].values())
        further = [language.get(FURTHER_PAIRS, 0)] if several else []
        counts = [language["read"], *further, filtered, language["not_sampled"], sum(language["dropped"].values())]
        rows.append((lang, *counts, language["train"], language["valid"], *tokens))
    rows.append(("all", *(sum(column) for column in list(zip(*rows, strict=True))[1:])))
    return align([tuple(header), *((row[0], *(f"{count:,}" for count in row[1:])) for row in rows)])
