"""What tests of text as people bring it share."""

import pytest
from made_up_text import write_group

LANG = "ell_Grek"


@pytest.fixture
def sample(tmp_path, ppa):
    """Sample what is in `in/`; gives the lines of the sample, and checks that the dry run agrees."""

    def sampled(code=0, given=None, **settings) -> list[str]:
        group = write_group(tmp_path / "group.yaml", [LANG], **settings)
        arguments = ["--config", group, "--input", given or tmp_path / "in"]
        assert ppa("sample", *arguments, "--dry-run") == code, ppa.err
        sampled.dry, error = ppa.out, ppa.err
        sampled.said = error
        assert ppa("sample", *arguments, "--output", tmp_path / "out") == code, ppa.err
        sampled.out = ppa.out
        if code:
            assert ppa.err == error
            assert error.count("\n") == 1
            assert not list((tmp_path / "out").rglob("*.t*"))
            return []
        return (tmp_path / f"out/text/{LANG}.txt").read_bytes().decode().split("\n")[:-1]

    (tmp_path / "in").mkdir()
    return sampled
