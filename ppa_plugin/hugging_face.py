"""Importing `transformers` where fairseq's own requirements would make that fail."""

import sys
from types import ModuleType


def import_transformers() -> ModuleType:
    """Import and return `transformers`; use this in place of a plain import, before anything else imports it.

    fairseq requires `torchaudio`, whose wheel on PyPI is built for CUDA: beside a CPU build of torch it is installed
    but cannot be loaded (`OSError: libc10_cuda.so`), and `transformers` imports it wherever it is installed, for models
    of text too. A `torchaudio` that cannot be loaded is therefore declared absent, which is what `None` in
    `sys.modules` means to Python; nothing here needs it.
    """
    if "transformers" not in sys.modules:
        try:
            import torchaudio  # noqa: F401
        except (ImportError, OSError):
            sys.modules["torchaudio"] = None
    import transformers

    # its bar over the weights of every load would fill a log with control characters
    transformers.utils.logging.disable_progress_bar()
    return transformers
