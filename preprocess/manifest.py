"""data-bin/manifest.json: what was made from what, with which tools, and where every line went."""

import json
import platform
from importlib import metadata
from typing import Any

from ppa_preprocess.encode import unknown_shares, unknown_warnings
from ppa_preprocess.group import Group
from ppa_preprocess.romanize import made_with, script_warnings
from ppa_preprocess.workspace import Workspace

from ppa_plugin.files import write_beside
from ppa_plugin.romanization.romanizers import find_romanizer

# of a language with several romanizers: its pairs beyond one a line
FURTHER_PAIRS = "further_pairs"
_TOOLS = ("translit-ppa", "fairseq-fixed", "sentencepiece", "numpy", "torch")


def write_manifest(group: Group, workspace: Workspace) -> None:
    """Write the manifest of the finished shards, unless it is so already. It holds no time, host or absolute path."""
    languages = {lang: _language(group, lang, workspace) for lang in group.languages}
    romanizers = [choice.name for lang in languages for choice in group.romanizers_of(lang)]
    files = dict(workspace.recorded("vocabulary")["files"])
    for task in workspace.tasks("binarize"):
        files |= workspace.recorded(task)["files"]
    prefix = f"{workspace.data_bin.name}/"
    manifest = {
        "format": 1,
        "group": group.as_dict(),
        "tools": {"python": platform.python_version()}
        | {name: _version(name) for name in _TOOLS}
        | {name: find_romanizer(name).version for name in romanizers},
        "languages": languages,
        "total": {
            key: sum(language.get(key, 0) for language in languages.values())
            for key in ("read", FURTHER_PAIRS, "not_sampled", "kept", "train", "valid")
            if any(key in language for language in languages.values())
        }
        | {key: sum(sum(language[key].values()) for language in languages.values()) for key in ("filtered", "dropped")},
        "files": {path.removeprefix(prefix): digest for path, digest in sorted(files.items())},
    }
    text = json.dumps(manifest, ensure_ascii=False, indent=1) + "\n"
    if not workspace.manifest.is_file() or workspace.manifest.read_text(encoding="utf-8") != text:
        with write_beside(workspace.manifest) as handle:
            handle.write(text)


def _language(group: Group, lang: str, workspace: Workspace) -> dict[str, Any]:
    """A language's counts: read = all filtered + not_sampled + kept + all dropped; kept = train + valid.

    With several romanizers `further_pairs` are added to what was read.
    """
    encode = workspace.recorded(f"encode {lang}")
    counts, inputs = encode["counts"], encode["inputs"]
    # Pairs may have been brought along instead of made here: then nothing is known of what they were made from.
    romanize = workspace.recorded(f"romanize {lang}") or {"files": {}}
    romanized_here = {inputs["orig"], inputs["latn"]} <= set(romanize["files"].values())
    sample = workspace.recorded(f"sample {lang}") or {"files": {}}
    sampled_here = romanized_here and romanize["inputs"]["text"] in sample["files"].values()
    romanizers = made_with(romanize) if romanized_here else []
    lines = counts["lines"] // max(1, len(romanizers))
    before = sample["counts"] if sampled_here else {"read": lines, "filtered": {}, "not_sampled": 0}
    return {
        "source": {
            "names": before["sources"],
            "files": dict(sample["inputs"]["files"]),  # SHA-256, or the revision of a dataset
            "text_column": sample["inputs"]["text_column"],
            "line_breaks_to_spaces": before["line_breaks"],  # values of the column that had any inside
            "line_ends_removed": before.get("line_ends", 0),  # \r at the end of a line; earlier versions left them
        }
        if sampled_here
        else None,
        "romanizer": _romanizer(*romanizers),
        "pairs_sha256": {text: inputs[text] for text in ("orig", "latn", "edges") if text in inputs},
        "read": before["read"],
        **({FURTHER_PAIRS: counts["lines"] - lines} if len(romanizers) > 1 else {}),
        "filtered": before["filtered"],
        "not_sampled": before["not_sampled"],
        "dropped": counts["dropped"],
        "kept": counts["train"] + counts["valid"],
        "train": counts["train"],
        "valid": counts["valid"],
        "tokens": counts["tokens"],
        "cut": counts["cut"],
        "unknown": counts["unknown"],
        "unknown_share": {side: round(share, 4) for side, share in unknown_shares(counts).items()},
        **({"blocks": counts["blocks"]} if "blocks" in counts else {}),  # pairs that have any, and all of them
        "warnings": [
            *before.get("doubts", ()),
            *(script_warnings(lang, romanize) if romanized_here else ()),
            *unknown_warnings(lang, counts),
        ],
    }


def _romanizer(*romanizers: dict[str, Any]) -> list[dict[str, Any]] | dict[str, Any] | None:
    """What wrote a language's romanizations: one, several in their order, or nothing that is known."""
    entries = [
        {"name": each["romanizer"]}
        | {key: each[key] for key in ("version", "code", "punctuation")}
        | {key: each.get(key, 0) for key in ("rescued", "lossy")}  # earlier versions dropped the first
        for each in romanizers
    ]
    return entries if len(entries) > 1 else next(iter(entries), None)


def _version(distribution: str) -> str:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return "unknown"
