"""What data sets call a language, to Glot500's code."""

import pytest

from ppa_plugin.codes import canonical, is_latin, same_language


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("cmn", "zho_Hani"),
        ("pes", "fas_Arab"),
        ("ell", "ell_Grek"),
        ("ara", "ara_Arab"),
        ("arb_Arab", "arb_Arab"),
        ("eng", "eng_Latn"),
        ("yue_Hant", "yue_Hani"),
        ("pes_Arab", "fas_Arab"),
        ("tur_Latn", "tur_Latn"),
        ("xxx", None),
        ("turkish", None),
        ("TUR_latn", None),
    ],
)
def test_codes(code, expected):
    assert canonical(code) == expected


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("en", "eng_Latn"),
        ("zh", "zho_Hani"),
        ("ar", "ara_Arab"),
        ("zh-yue", "yue_Hani"),
        ("ms", "zsm_Latn"),
        ("hau", "hau_Latn"),
        ("pa", "pan_Guru"),
        ("xx", None),
    ],
)
def test_codes_of_xtreme_and_masakhane(code, expected):
    assert canonical(code) == expected


@pytest.mark.parametrize(
    ("code", "other", "expected"),
    [
        ("fas_Arab", "pes_Arab", True),
        ("zho_Hans", "cmn_Hani", True),
        ("tur_Latn", "tur", True),
        ("ara_Arab", "arb_Arab", True),
        ("ara_Arab", "ary_Arab", False),
        ("zho_Hani", "yue_Hani", False),
        ("xxx", "xxx", True),
        ("xxx", "yyy", False),
        ("aze_Latn", "aze_Cyrl", False),
    ],
)
def test_which_codes_may_stand_for_one_language(code, other, expected):
    assert same_language(code, other) == same_language(other, code) == expected


def test_latin_script():
    assert is_latin("tur_Latn")
    assert not is_latin("fas_Arab")
