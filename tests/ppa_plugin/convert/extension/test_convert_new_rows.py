"""Rows of new pieces: which old pieces they are made of, and where they lie."""

import pytest
import torch

from ppa_plugin.convert.extension import new_rows
from ppa_plugin.convert.extension.new_pieces import Pieces
from ppa_plugin.model import names


@pytest.fixture(scope="module")
def base(sentencepiece_path):
    return Pieces(sentencepiece_path)


@pytest.fixture(scope="module")
def vocabulary(base):
    """{piece: row} of the old pieces."""
    return {piece.piece: i + 1 for i, piece in enumerate(base.proto.pieces) if i > 2}


def test_a_merged_piece_is_made_of_its_old_pieces(base, vocabulary):
    found = new_rows.merged(base, ["▁haqti", "haqti", "q☃t", "☃"])
    letters = [vocabulary[letter] for letter in "haqti"]
    assert found["haqti"] == letters
    assert found["▁haqti"] == [vocabulary["▁"], *letters]
    assert found["q☃t"] == [vocabulary["q"], vocabulary["t"]]
    assert found["☃"] == [3]  # <unk>


@pytest.mark.parametrize("kind", [torch.float32, torch.float16])
def test_rows_are_means_between_the_last_piece_and_mask(kind):
    generator = torch.Generator().manual_seed(0)
    embedding = torch.randn(9, 4, generator=generator).to(kind)
    bias, other = torch.randn(9, generator=generator).to(kind), torch.ones(2)
    state = {names.EMBED_TOKENS: embedding, names.TIED_OUTPUT: embedding, "encoder.lm_head.bias": bias, "other": other}
    parts = [[4, 5, 7], [6]]
    wide = new_rows.insert_rows(state, parts)
    rows, biases = wide[names.EMBED_TOKENS], wide["encoder.lm_head.bias"]
    assert rows.shape == (11, 4)
    assert rows.dtype == biases.dtype == kind
    assert wide[names.TIED_OUTPUT] is rows
    assert wide["other"] is other
    assert torch.equal(rows[:8], embedding[:8])
    assert torch.equal(rows[10], embedding[8])
    assert torch.equal(torch.cat([biases[:8], biases[10:]]), bias)
    expected = [embedding[list(p)].double().sum(0) / len(p) for p in parts]
    assert torch.equal(rows[8:10], torch.stack(expected).to(kind))
    assert embedding.shape == (9, 4)
    # a new piece's logit is the mean of its parts', whatever the hidden state
    hidden = torch.randn(5, 4, generator=generator)
    old, new = hidden @ embedding.float().T + bias.float(), hidden @ rows.float().T + biases.float()
    torch.testing.assert_close(new[:, 8], old[:, parts[0]].mean(1), rtol=1e-2, atol=1e-2)
