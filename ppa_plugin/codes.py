"""One table of language codes: what corpora and evaluation sets call a language, to Glot500's `iso_Script`.

`ara_Arab` (Tatoeba's, NER's and POS's "Arabic") and `arb_Arab` (Modern Standard Arabic) stay two languages, as in
Glot500, whose training data has both; a set that calls its text `arb_Arab` is asked for under that name.
"""

import re

ENGLISH = "eng_Latn"

# LASER's Tatoeba and MasakhaNER name languages by ISO 639-3 alone: the script that each is written in there.
_SCRIPTS = {
    "Arab": "ara arq arz fas pes uig urd",
    "Armn": "hye",
    "Beng": "ben",
    "Cyrl": "bel bul kaz mhr mkd mon orv rus srp tat ukr",
    "Deva": "awa hin mar",
    "Ethi": "amh",
    "Geor": "kat",
    "Grek": "ell",
    "Gujr": "guj",
    "Guru": "pan",
    "Hang": "kor",
    "Hani": "cmn lzh wuu yue zho",
    "Hebr": "heb yid",
    "Jpan": "jpn",
    "Khmr": "khm",
    "Laoo": "lao",
    "Latn": "afr ang ast aze ber bos bre cat cbk ceb ces cha cor csb cym dan deu dsb dtp eng epo est eus fao fin "
    "fra fry gla gle glg gsw hrv hsb hun ido ile ina ind isl ita jav kab kur kzj lat lfn lit lvs max mlt "
    "nds nld nno nob nov oci pam pms pol por ron slk slv spa sqi swe swg swh tgl tuk tur tzl uzb vie war "
    "hau ibo kin lug luo pcm que wol xho yor zsm",
    "Mlym": "mal",
    "Mymr": "mya",
    "Taml": "tam",
    "Telu": "tel",
    "Thai": "tha",
    "Tibt": "bod",
}
# XTREME, WikiAnn and UD name a language by ISO 639-1 where it has such a code, or by its Wikipedia.
_TWO_LETTER = {
    short: iso
    for shorts, isos in (
        (
            "af am ar az be bg bn bo br ca cs cy da de el en",
            "afr amh ara aze bel bul ben bod bre cat ces cym dan deu ell eng",
        ),
        (
            "eo es et eu fa fi fo fr fy ga gd gl gu he hi hr",
            "epo spa est eus fas fin fao fra fry gle gla glg guj heb hin hrv",
        ),
        (
            "hu hy id is it ja jv ka kk km ko la lo lt lv mk",
            "hun hye ind isl ita jpn jav kat kaz khm kor lat lao lit lvs mkd",
        ),
        (
            "ml mn mr ms mt my nb nl nn oc pa pl pt qu ro ru",
            "mal mon mar zsm mlt mya nob nld nno oci pan pol por que ron rus",
        ),
        (
            "sk sl sq sr sv sw ta te th tk tl tr tt ug uk ur",
            "slk slv sqi srp swe swh tam tel tha tuk tgl tur tat uig ukr urd",
        ),
        ("uz vi wo xh yi yo zh zh-classical zh-yue", "uzb vie wol xho yid yor zho lzh yue"),
    )
    for short, iso in zip(shorts.split(), isos.split(), strict=True)
}
# One language, another name: FLORES and SIB-200 split by variety what Glot500 names as a whole.
_RENAMED = {
    "cmn_Hani": "zho_Hani",
    "cmn_Hans": "zho_Hani",
    "pes_Arab": "fas_Arab",
    "yue_Hant": "yue_Hani",
    "zho_Hans": "zho_Hani",
}
# Two codes for standard Arabic: where a corpus has one of them only, it is the text for the other too.
_INTERCHANGEABLE = frozenset({"ara_Arab", "arb_Arab"})
_BY_ISO = {iso: f"{iso}_{script}" for script, isos in _SCRIPTS.items() for iso in isos.split()}
_CODE = re.compile(r"[a-z]{3}_[A-Z][a-z]{3}")


def canonical(code: str) -> str | None:
    """Glot500's code for a data set's, else None: `cmn`, `zh` -> `zho_Hani`, `tur_Latn` -> itself."""
    iso = _TWO_LETTER.get(code, code)
    full = _BY_ISO.get(iso, iso)
    return _RENAMED.get(full, full) if _CODE.fullmatch(full) else None


def same_language(code: str, other: str) -> bool:
    """Whether text under `other` may stand for `code`: `pes_Arab` for `fas_Arab`, `tur` for `tur_Latn`."""
    names = {canonical(code) or code, canonical(other) or other}
    return len(names) == 1 or names == _INTERCHANGEABLE


def is_latin(code: str) -> bool:
    """Whether a language of this code is written in the Latin script."""
    return code.endswith("_Latn")


def script_of(code: str) -> str:
    """The script of a language's code: `Latn` of `tur_Latn`."""
    return code.rpartition("_")[2]
