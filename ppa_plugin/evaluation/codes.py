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
_TWO_LETTER = dict(
    pair.split(":")
    for pair in (
        "af:afr am:amh ar:ara az:aze be:bel bg:bul bn:ben bo:bod br:bre ca:cat cs:ces cy:cym da:dan de:deu el:ell "
        "en:eng eo:epo es:spa et:est eu:eus fa:fas fi:fin fo:fao fr:fra fy:fry ga:gle gd:gla gl:glg gu:guj he:heb "
        "hi:hin hr:hrv hu:hun hy:hye id:ind is:isl it:ita ja:jpn jv:jav ka:kat kk:kaz km:khm ko:kor la:lat lo:lao "
        "lt:lit lv:lvs mk:mkd ml:mal mn:mon mr:mar ms:zsm mt:mlt my:mya nb:nob nl:nld nn:nno oc:oci pa:pan pl:pol "
        "pt:por qu:que ro:ron ru:rus sk:slk sl:slv sq:sqi sr:srp sv:swe sw:swh ta:tam te:tel th:tha tk:tuk tl:tgl "
        "tr:tur tt:tat ug:uig uk:ukr ur:urd uz:uzb vi:vie wo:wol xh:xho yi:yid yo:yor zh:zho zh-classical:lzh zh-yue:yue"
    ).split()
)
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
    """Glot500's code for a data set's: `cmn`, `zh` -> `zho_Hani`, `pes` -> `fas_Arab`, `tur_Latn` -> itself; else None."""
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
