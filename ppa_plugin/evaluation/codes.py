"""One table of language codes: what corpora and evaluation sets call a language, to Glot500's `iso_Script`.

`ara_Arab` (Tatoeba's, NER's and POS's "Arabic") and `arb_Arab` (Modern Standard Arabic) stay two languages, as in
Glot500, whose training data has both; a set that calls its text `arb_Arab` is asked for under that name.
"""

import re

ENGLISH = "eng_Latn"

# LASER's Tatoeba files are named by ISO 639-3 alone: the script that each is written in there.
_SCRIPTS = {
    "Arab": "ara arq arz fas pes uig urd",
    "Armn": "hye",
    "Beng": "ben",
    "Cyrl": "bel bul kaz mhr mkd mon orv rus srp tat ukr",
    "Deva": "awa hin mar",
    "Ethi": "amh",
    "Geor": "kat",
    "Grek": "ell",
    "Hang": "kor",
    "Hani": "cmn lzh wuu yue zho",
    "Hebr": "heb yid",
    "Jpan": "jpn",
    "Khmr": "khm",
    "Laoo": "lao",
    "Latn": "afr ang ast aze ber bos bre cat cbk ceb ces cha cor csb cym dan deu dsb dtp eng epo est eus fao fin "
    "fra fry gla gle glg gsw hrv hsb hun ido ile ina ind isl ita jav kab kur kzj lat lfn lit lvs max mlt "
    "nds nld nno nob nov oci pam pms pol por ron slk slv spa sqi swe swg swh tgl tuk tur tzl uzb vie war "
    "xho zsm",
    "Mlym": "mal",
    "Mymr": "mya",
    "Taml": "tam",
    "Telu": "tel",
    "Thai": "tha",
    "Tibt": "bod",
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
    """Glot500's code for a data set's: `cmn` -> `zho_Hani`, `pes` -> `fas_Arab`, `tur_Latn` -> itself; else None."""
    full = _BY_ISO.get(code, code)
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
