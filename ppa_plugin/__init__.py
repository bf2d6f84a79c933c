"""Transliteration-based post-training alignment (PPA, arXiv 2406.19759) as a fairseq `--user-dir` plugin."""

from ppa_plugin import compat

compat.require_fairseq_fixed()
compat.quiet_imports()
compat.allow_namespaces_in_checkpoints()
compat.follow_interpolated_defaults()
compat.read_bf16_flag()
compat.save_checkpoints_whole()
compat.save_tied_weights_once()
compat.refuse_unsafe_checkpoints()
compat.refuse_what_cannot_work()
compat.refuse_numbers_that_cannot_be()
compat.broadcast_plain_configurations()

# fairseq registers on import; --user-dir finds tasks/ and models/ by itself, but not these modules.
from ppa_plugin.criterion import TranslitAlignmentCriterionConfig  # noqa: E402
from ppa_plugin.model.architectures import TranslitXLMRConfig  # noqa: E402
from ppa_plugin.task import TranslitAlignmentConfig  # noqa: E402

compat.list_flags_in_help(
    {
        "task translit_alignment": TranslitAlignmentConfig,
        "criterion translit_alignment": TranslitAlignmentCriterionConfig,
        "architectures glot500_base, xlmr_base, xlmr_large, translit_tiny": TranslitXLMRConfig,
    }
)
