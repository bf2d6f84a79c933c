"""One table of language codes: what corpora and evaluation sets call a language, to Glot500's `iso_Script`.

`ara_Arab` (Tatoeba's, NER's and POS's "Arabic") and `arb_Arab` (Modern Standard Arabic) stay two languages, as in
Glot500, whose training data has both; a set that calls its text `arb_Arab` is asked for under that name.
"""

import re
from collections.abc import Iterable

ENGLISH = "eng_Latn"

# ISO 639-3, which LASER's Tatoeba, MasakhaNER and UD use alone: the script that each is written in there. These are the
# codes of Glot500's lists of WikiANN and UD, of UD and MasakhaNER since, of ISO 639-1, and those that FLORES and others
# have for varieties. Where CLDR's likely script is another one, the set's decides: UD transliterates Gothic.
_SCRIPTS = {
    "Arab": "acm acq aeb ajp apc ara arb arq ars ary arz azb ckb fas glk kas kfm lrc mzn nyq pbt pes pnb prs pus "
    "skr snd soj uig urd",
    "Armn": "axm hye hyw xcl",
    "Avst": "ave",
    "Beng": "asm ben bpy",
    "Cans": "cre iku oji",
    "Copt": "cop",
    "Cyrl": "abk abq ady ava bak bel bul bxr che chu chv ckt inh kaz kbd khk kir kjh koi kom kpv krc lbe lez mdf "
    "mhr mkd mon mrj myv orv oss rue rus sah srp tat tgk tyv udm ukr xal",
    "Deva": "awa bho bih doi gom hin hne mag mai mar nep new npi pli san xnr",
    "Ethi": "amh tir",
    "Geor": "kat oge xmf",
    "Grek": "cpg ell grc pnt",
    "Gujr": "guj",
    "Guru": "pan",
    "Hang": "kor",
    "Hani": "cmn gan lzh wuu yue zho",
    "Hebr": "hbo heb ydd yid",
    "Jpan": "jpn",
    "Khmr": "khm",
    "Knda": "kan",
    "Laoo": "lao",
    "Latn": "aar ace afr aka akk aln als ang apu aqz arg arr ast aym ayr aze azj azz bam ban bar bbj bcl bej ber "
    "bis bjn bor bos bre bug cat cbk cdo ceb ces cha cnh cor cos crh csb cym dan deu diq dje dsb dtp dyu "
    "efi egy ekk eme eml eng epo ess est eus ewe ext fao fij fil fin fon fra frm fro frr fry ful fur fuv "
    "gag gaz gla gle glg glv got grn gsw gub gun gya hak hat hau hbs her hil hit hmo hrv hsb hun ibo ido "
    "ile ilo ina ind ipk isl ita jaa jam jav jbo kab kac kal kam kau kbc kbp kea kik kin kmb kmr knc kon "
    "krl ksh kua kur kzj lad lat lav lfn lij lim lin lit lld lmo ltg ltz lua lub lug luo lus lvs mad mah "
    "max mfe min mlg mlt mos mpu mri msa mwl myu nan nap naq nau nav nbl nci nde ndo nds nhi nld nno nob "
    "nor nov nrm nso nus nya oci olo orm pad pag pam pap pcd pck pcm pdc plt pms pol por pro qaf qfn qhe "
    "qpm qtd quc que quy rmy roh ron ruc run rup sab sag say scn sco sgs slk slv sma sme smj smn smo sms "
    "sna som sot spa sqi srd srn ssw stq sun swa swe swg swh swl szl tah tet tgl ton tpi tpn tsn tso tuk "
    "tum tur twi tzl umb urb uzb uzn vec ven vep vie vls vol vro war wbp wes wln wol xav xho xpg xum yom "
    "yor yrl zea zha zsm zul zza",
    "Mlym": "mal",
    "Mong": "mvf sjo",
    "Mymr": "mya shn",
    "Olck": "sat",
    "Orkh": "otk",
    "Orya": "ori ory",
    "Sinh": "sin",
    "Syrc": "aii arc",
    "Taml": "tam",
    "Telu": "tel",
    "Thaa": "div",
    "Thai": "tha",
    "Tibt": "bod dzo",
    "Yiii": "iii",
}
# ISO 639-1, which XTREME, WikiANN and UD prefer, to ISO 639-3; at the end, what WikiANN calls after its Wikipedia.
# Glot500 takes WikiANN's `als` for ISO 639-3's, and has no `be-x-old`, `map-bms` or `simple`.
_SHORT = """
    aa:aar ab:abk ae:ave af:afr ak:aka am:amh an:arg ar:ara as:asm av:ava ay:aym az:aze ba:bak be:bel bg:bul bi:bis
    bm:bam bn:ben bo:bod br:bre bs:bos ca:cat ce:che ch:cha co:cos cr:cre cs:ces cu:chu cv:chv cy:cym da:dan de:deu
    dv:div dz:dzo ee:ewe el:ell en:eng eo:epo es:spa et:est eu:eus fa:fas ff:ful fi:fin fj:fij fo:fao fr:fra fy:fry
    ga:gle gd:gla gl:glg gn:grn gu:guj gv:glv ha:hau he:heb hi:hin ho:hmo hr:hrv ht:hat hu:hun hy:hye hz:her ia:ina
    id:ind ie:ile ig:ibo ii:iii ik:ipk io:ido is:isl it:ita iu:iku ja:jpn jv:jav ka:kat kg:kon ki:kik kj:kua kk:kaz
    kl:kal km:khm kn:kan ko:kor kr:kau ks:kas ku:kur kv:kom kw:cor ky:kir la:lat lb:ltz lg:lug li:lim ln:lin lo:lao
    lt:lit lu:lub lv:lvs mg:mlg mh:mah mi:mri mk:mkd ml:mal mn:mon mr:mar ms:zsm mt:mlt my:mya na:nau nb:nob nd:nde
    ne:nep ng:ndo nl:nld nn:nno no:nor nr:nbl nv:nav ny:nya oc:oci oj:oji om:orm or:ori os:oss pa:pan pi:pli pl:pol
    ps:pus pt:por qu:que rm:roh rn:run ro:ron ru:rus rw:kin sa:san sc:srd sd:snd se:sme sg:sag sh:hbs si:sin sk:slk
    sl:slv sm:smo sn:sna so:som sq:sqi sr:srp ss:ssw st:sot su:sun sv:swe sw:swh ta:tam te:tel tg:tgk th:tha ti:tir
    tk:tuk tl:tgl tn:tsn to:ton tr:tur ts:tso tt:tat tw:twi ty:tah ug:uig uk:ukr ur:urd uz:uzb ve:ven vi:vie vo:vol
    wa:wln wo:wol xh:xho yi:yid yo:yor za:zha zh:zho zu:zul
    bat-smg:sgs bh:bih cbk-zam:cbk fiu-vro:vro roa-rup:rup zh-classical:lzh zh-min-nan:nan zh-yue:yue
"""
_TWO_LETTER = dict(pair.split(":") for pair in _SHORT.split())
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
# Scripts written without spaces between words: those whose letters are of the line-breaking classes "ideographic" and
# "complex context" of Unicode (UAX 14, ID and SA), Tibetan, whose marks part syllables, Balinese and Javanese.
_IDEOGRAPHIC = {"Hani", "Hans", "Hant", "Hanb", "Jpan", "Hira", "Kana", "Hrkt", "Bopo", "Yiii", "Tang", "Nshu"}
_COMPLEX_CONTEXT = {"Thai", "Laoo", "Mymr", "Khmr", "Tale", "Talu", "Lana", "Tavt", "Ahom"}
WITHOUT_SPACES = frozenset(_IDEOGRAPHIC | _COMPLEX_CONTEXT | {"Tibt", "Bali", "Java"})
# What WikiANN has before each word: the code of a Wikipedia, as `en:`, `zh-min-nan:`, `simple:`
WIKIPEDIA_PREFIX = re.compile(r"(?:[a-z]{2,3}(?:-[a-z]+)*|simple):")
_BY_ISO = {iso: f"{iso}_{script}" for script, isos in _SCRIPTS.items() for iso in isos.split()}
_CODE = re.compile(r"[a-z]{3}_[A-Z][a-z]{3}")


def canonical(code: str) -> str | None:
    """Glot500's code for a data set's, else None: `cmn`, `zh` -> `zho_Hani`, `tur_Latn` -> itself."""
    iso = _TWO_LETTER.get(code, code)
    full = _BY_ISO.get(iso, iso)
    return _RENAMED.get(full, full) if _CODE.fullmatch(full) else None


def default_targets(languages: Iterable[str]) -> list[str]:
    """The languages to test on where none are named: all but English, as in the paper, or English alone."""
    found = list(languages)
    return [language for language in found if language != ENGLISH] or found


def passed_over(names: Iterable[str]) -> str:
    """What to say of files or directories whose names are no language's; "" for none."""
    listed = ", ".join(sorted(set(names)))
    return listed and f"passed over {listed}: no language codes known here; rename them as in tur_Latn"


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
