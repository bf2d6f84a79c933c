"""What data sets call a language, to Glot500's code."""

import pytest

from ppa_plugin.codes import canonical, default_targets, is_latin, passed_over, same_language

# WikiANN's configurations; Glot500's list has all but three that stand for no language of ISO 639.
WIKIANN = """
    ace af als am an ang ar arc arz as ast ay az ba bar bat-smg be be-x-old bg bh bn bo br bs ca cbk-zam cdo ce ceb
    ckb co crh cs csb cv cy da de diq dv el eml en eo es et eu ext fa fi fiu-vro fo fr frr fur fy ga gan gd gl gn gu
    hak he hi hr hsb hu hy ia id ig ilo io is it ja jbo jv ka kk km kn ko ksh ku ky la lb li lij lmo ln lt lv map-bms
    mg mhr mi min mk ml mn mr ms mt mwl my mzn nap nds ne nl nn no nov oc or os pa pdc pl pms pnb ps pt qu rm ro
    ru rw sa sah scn sco sd sh si simple sk sl so sq sr su sv sw szl ta te tg th tk tl tr tt ug uk ur uz vec vep vi
    vls vo wa war wuu xmf yi yo zea zh zh-classical zh-min-nan zh-yue
"""
# The languages of Universal Dependencies 2.11, Glot500's list.
UD = """
    abq af aii ajp akk aln am apu aqz ar arr be bej bg bho bm bn br bxr ca ceb ckt cop cs cu cy da de el eme en es
    ess et eu fa fi fo fr fro ga gd gl gn got grc gsw gub gun gv hbo he hi hit hr hsb hu hy hyw id is it ja jaa jv
    kfm kk kmr ko koi kpv krl la lij lt lv lzh mdf ml mpu mr mt myu myv nap nds nhi nl no nyq olo orv otk pcm pl pt
    qfn qhe qpm qtd quc ro ru sa sah say si sjo sk sl sme sms soj sq sr sv swl ta te th tl tpn tr tt ug uk ur urb vi
    wbp wo xav xnr xum yo yrl yue zh
"""
MASAKHANER = "amh bam bbj ewe fon hau ibo kin lug luo mos nya pcm sna swa tsn twi wol xho yor zul"
# What Glot500 calls them after having looked at the text, in its lists of what it measures NER and POS on.
GLOT500_NER = """
    hbs_Latn mal_Mlym aze_Latn guj_Gujr ben_Beng kan_Knda tel_Telu mlt_Latn fra_Latn spa_Latn eng_Latn rus_Cyrl
    deu_Latn tur_Latn pan_Guru mar_Deva por_Latn nld_Latn ara_Arab zho_Hani ita_Latn ind_Latn ell_Grek bul_Cyrl
    swe_Latn ces_Latn isl_Latn pol_Latn ron_Latn dan_Latn hun_Latn tgk_Cyrl fas_Arab ceb_Latn heb_Hebr hrv_Latn
    glg_Latn fin_Latn slv_Latn vie_Latn mkd_Cyrl slk_Latn nor_Latn est_Latn ltz_Latn eus_Latn lit_Latn kaz_Cyrl
    lav_Latn bos_Latn epo_Latn cat_Latn tha_Thai ukr_Cyrl tgl_Latn sin_Sinh gle_Latn hin_Deva kor_Hang urd_Arab
    swa_Latn sqi_Latn bel_Cyrl afr_Latn nno_Latn tat_Cyrl ast_Latn mon_Cyrl msa_Latn som_Latn srp_Cyrl mlg_Latn
    arz_Arab tam_Taml uzb_Latn cos_Latn als_Latn amh_Ethi sun_Latn war_Latn div_Thaa yor_Latn fao_Latn bak_Cyrl
    ilo_Latn mri_Latn asm_Beng ibo_Latn kin_Latn hye_Armn oci_Latn lin_Latn kir_Cyrl nep_Deva cym_Latn lat_Latn
    kat_Geor fry_Latn mya_Mymr nds_Latn pnb_Arab ckb_Arab chv_Cyrl que_Latn bre_Latn pus_Arab che_Cyrl oss_Cyrl
    nan_Latn lim_Latn tuk_Latn min_Latn khm_Khmr jav_Latn vec_Latn jpn_Jpan snd_Arab yue_Hani sco_Latn ori_Orya
    arg_Latn kur_Latn bar_Latn roh_Latn aym_Latn sah_Cyrl lmo_Latn ido_Latn vol_Latn uig_Arab bod_Tibt pms_Latn
    wuu_Hani yid_Hebr scn_Latn ina_Latn xmf_Geor san_Deva gla_Latn mwl_Latn diq_Latn cbk_Latn szl_Latn hsb_Latn
    vls_Latn mhr_Cyrl grn_Latn lzh_Hani mzn_Arab nap_Latn ace_Latn frr_Latn eml_Latn vep_Latn sgs_Latn lij_Latn
    crh_Latn ksh_Latn zea_Latn csb_Latn jbo_Latn bih_Deva ext_Latn fur_Latn
"""
GLOT500_POS = """
    mal_Mlym ben_Beng tel_Telu mlt_Latn fra_Latn spa_Latn eng_Latn rus_Cyrl deu_Latn tur_Latn mar_Deva por_Latn
    nld_Latn ara_Arab zho_Hani ita_Latn ind_Latn ell_Grek bul_Cyrl swe_Latn ces_Latn isl_Latn pol_Latn ron_Latn
    dan_Latn hun_Latn srp_Latn fas_Arab ceb_Latn heb_Hebr hrv_Latn glg_Latn fin_Latn slv_Latn vie_Latn slk_Latn
    nor_Latn est_Latn eus_Latn lit_Latn kaz_Cyrl lav_Latn cat_Latn tha_Thai ukr_Cyrl tgl_Latn sin_Sinh gle_Latn
    hin_Deva kor_Hang urd_Arab sqi_Latn bel_Cyrl afr_Latn tat_Cyrl tam_Taml amh_Ethi yor_Latn fao_Latn hye_Armn
    cym_Latn lat_Latn nds_Latn bre_Latn hyw_Armn jav_Latn jpn_Jpan yue_Hani gsw_Latn sah_Cyrl uig_Arab kmr_Latn
    pcm_Latn quc_Latn san_Deva gla_Latn wol_Latn sme_Latn hsb_Latn grc_Grek hbo_Hebr grn_Latn lzh_Hani ajp_Arab
    nap_Latn aln_Latn glv_Latn lij_Latn myv_Cyrl bam_Latn xav_Latn
"""


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
    ("codes", "count", "unknown"),
    [
        (WIKIANN, 173, ["be-x-old", "map-bms", "simple"]),
        (UD, 138, []),
        (MASAKHANER, 21, []),
    ],
)
def test_codes_of_whole_collections_are_known_each_as_a_language_of_its_own(codes, count, unknown):
    names = {code: canonical(code) for code in codes.split()}
    assert [code for code, name in names.items() if name is None] == unknown
    assert len(set(names.values()) - {None}) == count
    # a name is its own: results and files that were written under it are found again
    assert all(canonical(name) == name for name in names.values() if name)


@pytest.mark.parametrize(
    ("names", "codes", "called_otherwise"),
    [
        # individual languages, as Glot500 calls them in Tatoeba and its corpus
        (GLOT500_NER, WIKIANN, {"lav_Latn": "lvs_Latn", "msa_Latn": "zsm_Latn", "swa_Latn": "swh_Latn"}),
        (GLOT500_POS, UD, {"lav_Latn": "lvs_Latn", "srp_Latn": "srp_Cyrl"}),
    ],
)
def test_codes_become_the_names_that_glot500_gave_them_by_their_text(names, codes, called_otherwise):
    found = {canonical(code) for code in codes.split()}
    assert {called_otherwise.get(name, name) for name in names.split()} <= found
    # without its script as well, but for a language that UD has in another one
    assert {name for name in names.split() if canonical(name[:3]) != name} <= {"srp_Latn"}


def test_names_that_are_no_codes_are_listed_once():
    assert passed_over([]) == ""
    assert passed_over(["xyz", "abc", "xyz"]).startswith("passed over abc, xyz: no language codes known here")


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


def test_english_is_a_target_where_there_is_no_other():
    assert default_targets(["amh_Ethi", "eng_Latn", "tur_Latn"]) == ["amh_Ethi", "tur_Latn"]
    assert default_targets(["eng_Latn"]) == ["eng_Latn"]
    assert default_targets([]) == []
