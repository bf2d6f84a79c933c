"""Installs the plugin as `ppa_plugin` and the corpus tools as `ppa_preprocess`, with the `ppa-*` commands."""

from pathlib import Path

from setuptools import find_packages, setup

SOURCES = ["pyarrow", "datasets>=4"]
CLUSTER = ["dask[distributed]"]
# by the names that group files have for them; PACKAGED in ppa_plugin/romanization/romanizers.py names the same
ROMANIZERS = {
    "pypinyin": ["pypinyin"],
    "pythainlp": ["pythainlp"],
    "cutlet": ["cutlet", "fugashi", "unidic-lite"],
    "indic-transliteration": ["indic-transliteration"],
    "icu": ["PyICU"],  # is compiled against the system's ICU (libicu-dev)
}

setup(
    name="translit-ppa",
    version="0.1.0",
    description="fairseq plugin for transliteration-based post-training alignment of multilingual encoders (PPA)",
    long_description=Path("README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="MIT",
    python_requires=">=3.11",
    packages=[
        *find_packages(include=["ppa_plugin", "ppa_plugin.*"]),
        "ppa_preprocess",
        *(f"ppa_preprocess.{room}" for room in find_packages("preprocess")),
    ],
    package_dir={"ppa_preprocess": "preprocess"},
    install_requires=[
        # the release of fairseq that imports on Python >= 3.11; fairseq==0.12.2 does not
        "fairseq-fixed==0.12.3.1",
        "torch>=2.6",
        "numpy",
        "fairscale",
        "sentencepiece",
        # sentencepiece's description of its models is written with it, which does not require it
        "protobuf",
        "uroman==1.3.1.1",
        "sacremoses",
        "regex",
        "tensorboard",
        "pyyaml",
        "tqdm",
        # releases up to 4.48 at least load an XLM-R without the bias of its head, whoever wrote it
        "transformers>=4.51",
        "tokenizers",
        "safetensors",
        "scikit-learn>=1.5",  # from which PCA gives its components the sign that script_barrier promises
        "seqeval",
        "matplotlib",
        # torch.utils.tensorboard needs it, and fairseq imports it in the trainer's progress bar
        "setuptools",
    ],
    extras_require={
        "quickstart": ["Babel"],
        # ppa-preprocess: Parquet, Arrow and .zst files, datasets of the Hugging Face hub (datasets < 4 runs their code)
        "sources": SOURCES,
        # ppa-preprocess --scheduler
        "cluster": CLUSTER,
        # ppa-preprocess: romanizers beside uroman, for the languages that name one
        **ROMANIZERS,
        "romanizers": sorted({package for packages in ROMANIZERS.values() for package in packages}),
        # make docs
        "docs": ["mkdocs-material", "mkdocstrings[python]", "mdx-truly-sane-lists", "latex2mathml"],
        "dev": [
            *("Babel", "hypothesis", "pytest", "pytest-timeout", "pytest-xdist", "ruff"),
            "sentence-transformers",  # what ppa-convert writes for it is loaded
            *SOURCES,
            *CLUSTER,
            # those of the romanizers that take neither a compiler nor hundreds of MB
            *ROMANIZERS["pypinyin"],
            *ROMANIZERS["pythainlp"],
        ],
    },
    entry_points={
        "console_scripts": [
            "ppa-preprocess=ppa_preprocess.cli:main",
            "ppa-convert=ppa_plugin.convert.cli:main",
            "ppa-evaluate=ppa_plugin.evaluation.cli:main",
            "ppa-report=ppa_plugin.evaluation.report:main",
            "ppa-user-dir=ppa_plugin.commandline:print_user_dir",
        ]
    },
)
