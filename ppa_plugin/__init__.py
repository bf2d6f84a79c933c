"""Transliteration-based post-training alignment (PPA, arXiv 2406.19759) as a fairseq `--user-dir` plugin.

fairseq imports this package for `--user-dir`, in spawned ranks too, and is itself imported by then: that registers
task, criterion and model. The `ppa-*` commands import it without fairseq, which takes seconds, and load what they need.
Where the package comes first and fairseq later, `--user-dir` registers too, and so does `ppa_plugin.register()`.
"""

import functools
import logging
import sys
import warnings
from importlib import metadata


@functools.cache
def register() -> None:
    """Mend fairseq, which this imports, and register the plugin's components with it; a second call does nothing."""
    from ppa_plugin import compat

    compat.allow_namespaces_in_checkpoints()
    compat.follow_interpolated_defaults()
    compat.read_bf16_flag()
    compat.save_checkpoints_whole()
    compat.save_tied_weights_once()
    compat.refuse_unsafe_checkpoints()
    compat.refuse_what_cannot_work()
    compat.refuse_numbers_that_cannot_be()
    compat.broadcast_plain_configurations()

    # fairseq registers on import; --user-dir finds tasks/ and models/ by itself, but not these modules
    from ppa_plugin import criterion, task
    from ppa_plugin.configuration import TranslitAlignmentConfig, TranslitAlignmentCriterionConfig
    from ppa_plugin.model.architectures import CONFIGURATIONS
    from ppa_plugin.model.sizes import MODEL_OF
    from ppa_plugin.optim import fused_adam

    del criterion, task
    compat.list_flags_in_help(
        {
            "task translit_alignment": TranslitAlignmentConfig,
            "criterion translit_alignment": TranslitAlignmentCriterionConfig,
            **{
                f"architectures {', '.join(name for name in MODEL_OF if MODEL_OF[name] == model)}": configuration
                for model, configuration in CONFIGURATIONS.items()
            },
            "optimizer fused_adamw": fused_adam.FusedAdamWConfig,
        }
    )


class _SearchedPath(list):
    """`__path__` of this package, where fairseq looks up a `--user-dir` whose package was imported before."""

    def __contains__(self, directory: object) -> bool:
        _register_if_imported()
        return super().__contains__(directory)


def _register_if_imported() -> None:
    if "fairseq" in sys.modules:
        register()


def require_fairseq_fixed() -> None:
    """Stop where the module `fairseq` is of another distribution: fairseq 0.12.2 does not import here."""
    try:
        metadata.version("fairseq-fixed")
    except metadata.PackageNotFoundError:
        raise ImportError(
            "ppa_plugin needs the distribution fairseq-fixed: pip install fairseq-fixed==0.12.3.1"
        ) from None
    try:
        version = metadata.version("fairseq")
    except metadata.PackageNotFoundError:
        return
    raise ImportError(f"fairseq {version} shadows fairseq-fixed, which ppa_plugin needs: pip uninstall fairseq")


def quiet_imports() -> None:
    """Drop what fairseq's dependencies say on every start, and what no user of theirs can change."""
    warnings.filterwarnings("ignore", category=FutureWarning, module=r"fairscale\.")
    warnings.filterwarnings("ignore", category=UserWarning, module=r"hydra\.")
    warnings.filterwarnings("ignore", message=r"\n'config' is validated against ConfigStore schema")
    warnings.filterwarnings("ignore", message="The PyTorch API of nested tensors is in prototype stage")
    logging.getLogger("fairseq.tasks.text_to_speech").setLevel(logging.WARNING)


require_fairseq_fixed()
quiet_imports()
__path__ = _SearchedPath(__path__)
_register_if_imported()
