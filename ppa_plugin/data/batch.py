"""One packed batch: the sequences of all streams, one after the other, without padding."""

import numpy as np
import torch

from ppa_plugin.data.masking import BOS, EOS, PAD, SIDES
from ppa_plugin.data.training_blocks import collate_blocks


def collate(
    samples: list[dict],
    streams: tuple[str, ...],
    most_pairs: int | None = None,
    control: tuple[int, ...] = (BOS, PAD, EOS),
    block_group: int | None = None,
) -> dict:
    """Pack the items of a `PairedDataset` into one batch of T tokens in S sequences.

    Sequences are laid out from long to short, so that attention meets neighbours of similar length. The result holds

    * `id` (N,): the pairs, in the order of the rows of `rows`;
    * `net_input`: `tokens` (T,), `positions` (T,) from 0 in each sequence, `cu_seqlens` (S + 1,) int32 and, on the
      host, `lengths` (S,) as a numpy array, which fairseq leaves where it is;
    * `sequence`: {stream: (N,) the sequence that holds it};
    * `masked`: {stream: {"rows" (M,) of the packed tokens, "targets" (M,), pair after pair, and, on the host, `counts`
      (N,), how many each pair has}};
    * `content`: the rows (K,) of the sides `orig` and `latn` that are not `control`, and `content_sequence` (K,);
    * `texts` (N, 2): the items' hashes of their two sides, where they have them;
    * `blocks`, with `block_group`: where the token blocks of groups of so many pairs stand (`collate_blocks`);
    * `most_pairs`: the pairs of the largest batch of all ranks, as given, else this one's;
    * `nsentences` (pairs) and `ntokens` (real tokens over all streams).
    """
    order = sorted(
        ((stream, pair) for stream in streams for pair in range(len(samples))),
        key=lambda entry: -len(samples[entry[1]][entry[0]][0]),
    )
    lengths = np.array([len(samples[pair][stream][0]) for stream, pair in order], dtype=np.int64)
    starts = np.concatenate(([0], np.cumsum(lengths)))
    tokens = np.concatenate([samples[pair][stream][0] for stream, pair in order]).astype(np.int64)
    sequence = {stream: np.empty(len(samples), dtype=np.int64) for stream in streams}
    for number, (stream, pair) in enumerate(order):
        sequence[stream][pair] = number
    of_token = np.repeat(np.arange(len(order)), lengths)
    pooled = np.isin(of_token, np.concatenate([sequence[s] for s in streams if s != "tlm"] or [[]]))
    content = np.flatnonzero(pooled & ~np.isin(tokens, control))
    more = {}
    if block_group:
        firsts = {side: starts[sequence[side]] + 1 for side in SIDES}
        more["blocks"] = collate_blocks(samples, firsts, block_group)
    if "texts" in samples[0]:
        more["texts"] = torch.from_numpy(np.stack([sample["texts"] for sample in samples]))
    return {
        "id": torch.tensor([sample["id"] for sample in samples]),
        "nsentences": len(samples),
        "most_pairs": most_pairs or len(samples),
        "ntokens": int(starts[-1]),
        "net_input": {
            "tokens": torch.from_numpy(tokens),
            "positions": torch.from_numpy(np.arange(len(tokens)) - starts[of_token]),
            "cu_seqlens": torch.from_numpy(starts.astype(np.int32)),
            "lengths": lengths,
        },
        "sequence": {stream: torch.from_numpy(rows) for stream, rows in sequence.items()},
        "masked": {stream: _masked_rows(samples, stream, starts[sequence[stream]]) for stream in streams},
        "content": torch.from_numpy(content),
        "content_sequence": torch.from_numpy(of_token[content]),
        **more,
    }


def _masked_rows(samples: list[dict], stream: str, starts: np.ndarray) -> dict[str, torch.Tensor | np.ndarray]:
    rows = [start + sample[stream][1] for start, sample in zip(starts, samples, strict=True)]
    targets = [sample[stream][2] for sample in samples]
    return {
        "rows": torch.from_numpy(np.concatenate(rows).astype(np.int64)),
        "targets": torch.from_numpy(np.concatenate(targets).astype(np.int64)),
        "counts": np.array([len(t) for t in targets]),
    }
