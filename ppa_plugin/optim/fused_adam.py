"""`--optimizer fused_adamw`: fairseq's Adam in one pass over parameters, gradients and moments, by torch's own kernel.

fairseq's own takes eight passes and a tensor of the parameters' size for the denominator; apex's, which it would take
instead, has to be compiled. With P parameters in one flat FP32 copy that is 20 P values to move against 8 P here.
"""

from dataclasses import dataclass
from typing import Any

import torch
from fairseq.dataclass import FairseqDataclass
from fairseq.optim import adam, register_optimizer
from omegaconf import II

from ppa_plugin.commandline import setting
from ppa_plugin.optim.adamw import FusedAdamW


@dataclass
class FusedAdamWConfig(FairseqDataclass):
    """The flags of fairseq's Adam, with its defaults."""

    adam_betas: Any = setting((0.9, 0.999), "betas of both moments")
    adam_eps: float = setting(1e-8, "epsilon, added before the bias is corrected")
    weight_decay: float = setting(0.0, "weight decay, decoupled from the gradient")
    lr: list[float] = II("optimization.lr")  # noqa: RUF009 -- a text, as in fairseq's own


# The class has the name of fairseq's: checkpoints name it, and fairseq resumes from no other.
@register_optimizer("fused_adamw", dataclass=FusedAdamWConfig)
class FairseqAdam(adam.FairseqAdam):
    """fairseq's optimizer Adam around `FusedAdamW`; around fairseq's own with --memory-efficient-fp16.

    There the parameters are in half precision and so would torch's moments be, where fairseq's are in FP32.
    """

    def __init__(self, cfg: FusedAdamWConfig, params):
        super(adam.FairseqAdam, self).__init__(cfg)
        kind = FusedAdamW if all(parameter.dtype == torch.float32 for parameter in params) else adam.Adam
        self._optimizer = kind(params, **self.optimizer_config)
