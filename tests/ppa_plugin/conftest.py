"""A tiny random XLM-R with a real SentencePiece vocabulary over 15 scripts, as a Hugging Face directory."""

import shutil

import pytest
import sentencepiece
import torch
from tiny_xlmr import tiny_config, train_pieces

from ppa_plugin.evaluation.encoder.loading import import_transformers
from ppa_plugin.model.architectures import TranslitXLMR, TranslitXLMRConfig
from ppa_plugin.model.names import to_fairseq

SENTENCES = """\
Peace and quiet return to the city.
Η ειρήνη και η ησυχία επιστρέφουν στην πόλη.
Мир и тишина возвращаются в город.
שלום ושקט חוזרים אל העיר.
السلام والهدوء يعودان إلى المدينة.
صلح و آرامش به شهر باز می‌گردد.
ሰላምና ጸጥታ ወደ ከተማው ይመለሳሉ።
शांति और सन्नाटा शहर में लौट आते हैं।
শান্তি ও নীরবতা শহরে ফিরে আসে।
அமைதி நகரத்திற்குத் திரும்புகிறது.
ความสงบสุขกลับคืนสู่เมือง
ຄວາມສະຫງົບກັບຄືນສູ່ເມືອງ
ငြိမ်းချမ်းရေးသည် မြို့သို့ ပြန်လာသည်။
ཞི་བདེ་གྲོང་ཁྱེར་ལ་ལོག་པ་རེད།
平安与宁静回到了城里。
平和と静けさが街に戻ってくる。
평화와 고요가 도시로 돌아온다.
მშვიდობა და სიწყნარე ბრუნდება ქალაქში.
Խաղաղությունն ու լռությունը վերադառնում են քաղաք։
""".splitlines()


@pytest.fixture(scope="session")
def sentences() -> list[str]:
    """One sentence in each of more than 15 scripts."""
    return SENTENCES


@pytest.fixture(scope="session")
def sentencepiece_path(tmp_path_factory):
    """A SentencePiece model laid out as XLM-R's, trained on `sentences`."""
    return train_pieces(SENTENCES, 310, tmp_path_factory.mktemp("sentencepiece") / "tiny.model")


@pytest.fixture(scope="session")
def tiny_hf_model(sentencepiece_path):
    """XLMRobertaForMaskedLM, 3 x 16, every parameter random: biases, LayerNorms and the token-type row too."""
    transformers = import_transformers()
    pieces = sentencepiece.SentencePieceProcessor(model_file=str(sentencepiece_path)).get_piece_size()
    config = tiny_config(pieces + 2)
    torch.manual_seed(0)
    model = transformers.XLMRobertaForMaskedLM(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(0, 0.3)
    return model


@pytest.fixture(scope="session")
def tiny_hf_directory(tiny_hf_model, sentencepiece_path, tmp_path_factory):
    """The model as a hub repository has it: config.json, model.safetensors, sentencepiece.bpe.model; read only."""
    directory = tmp_path_factory.mktemp("hf") / "tiny"
    tiny_hf_model.save_pretrained(directory)
    shutil.copyfile(sentencepiece_path, directory / "sentencepiece.bpe.model")
    return directory


@pytest.fixture
def tiny_model(tiny_hf_model):
    """Our model with the parameters of `tiny_hf_model`, in evaluation mode."""
    config = tiny_hf_model.config
    model = TranslitXLMR(
        TranslitXLMRConfig(
            encoder_layers=config.num_hidden_layers,
            encoder_embed_dim=config.hidden_size,
            encoder_ffn_embed_dim=config.intermediate_size,
            encoder_attention_heads=config.num_attention_heads,
            max_positions=512,
        ),
        config.vocab_size,
    )
    state = {name: tensor.clone() for name, tensor in tiny_hf_model.state_dict().items()}
    model.load_state_dict(to_fairseq(state, "the tiny model"))
    return model.eval()


# SENTENCES as uroman 1.3.1.1 romanizes them
ROMANIZED = """\
Peace and quiet return to the city.
E eirene kai e esychia epistrefoun sten pole.
Mir i tishina vozvrashchayutsya v gorod.
shlvm vshqt chvzrym al h'yr.
alslam walhdw' y'wdan ila almdyna.
slh w aramsh bh shhr baz migrdd.
salaamenaa tsatetaa wada katamaawe yemalasaalu.
shaamti aur sannaattaa shahar mem lautt aate haim.
shaanti o niirabataa shahare phire aase.
amaiti nakarattirkut tirumpukiratu.
khwaamsngbsukklapkhueensuumueang
khwaamsahngobkabkhyynsuuemyyong
ngrimkhyamresanny mriusiu pranlaasanny.
zhi·bde·grong·khyer·la·log·pa·red,
pinganyuningjinghuidaolechengli.
pinghetojingkesagajienitittekuru.
pyeonghwawa goyoga dosiro dolaonda.
mshvidoba da sitsqnare brundeba khalakhshi.
Khaghaghutyunn u lrutyune veradarnum en kaghak.
""".splitlines()


@pytest.fixture(scope="session")
def romanized_sentences() -> list[str]:
    """The Latin side of `sentences`."""
    return ROMANIZED
