"""Results that nobody measured, for the tests of tables and reports."""

import random

from ppa_plugin.evaluation.results import Result

GROUPS = {"med": ["fas_Arab", "ell_Grek", "heb_Hebr", "tur_Latn"], "asia": ["zho_Hani", "kor_Hang", "tha_Thai"]}
SOURCES = {"med": ["eng_Latn", "fas_Arab"], "asia": ["eng_Latn", "kor_Hang"]}


def result(model="base", target="fas_Arab", value=0.5, **changes) -> Result:
    given = {
        "model": model,
        "model_path": f"runs/{model}",
        "model_sha256": "a" * 64,
        "task": "bible",
        "source": "eng_Latn",
        "target": target,
        "seed": None,
        "metric": "top10",
        "value": value,
        "n": 500,
        "layer": 8,
        "pool": "all",
        "data_sha256": target,
        "config": {"batch_size": 64},
        "version": "0.1.0",
    }
    return Result(**{**given, **changes})


def matrix(models=("base", "aligned", "other"), seeds=(42, 43, 44)) -> list[Result]:
    """Two groups, two sources each, retrieval and tagging; `other` lacks one target, no pair is a language with itself.

    Values are drawn with two decimals, so that some are equal.
    """
    generator = random.Random(1)
    results = []
    for group, targets in GROUPS.items():
        for source in SOURCES[group]:
            for target in targets:
                for place, model in enumerate(models):
                    cell = {"source": source, "target": target, "data_sha256": f"{source} {target}"}
                    if source != target and (model, target) != ("other", "heb_Hebr"):
                        for metric in ("top1", "top10"):
                            value = round(generator.uniform(0.3, 0.5) + 0.1 * place, 2)
                            results.append(result(model, value=value, metric=metric, **cell))
                    for seed in seeds:
                        value = round(generator.uniform(0.3, 0.5) + 0.05 * place, 2)
                        tagging = {"task": "ner", "metric": "span_micro_f1", "layer": None, "pool": None, "seed": seed}
                        results.append(result(model, value=value, config={"epochs": 5}, **cell, **tagging))
    return results
