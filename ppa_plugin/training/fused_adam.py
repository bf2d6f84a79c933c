"""`--optimizer fused_adamw`: fairseq's Adam in one pass over parameters, gradients and moments, by torch's own kernel.

fairseq's own takes eight passes and a tensor of the parameters' size for the denominator; apex's, which it would take
instead, has to be compiled. With P parameters in one flat FP32 copy that is 20 P values to move against 8 P here.
"""

import math
from dataclasses import dataclass, field
from typing import Any

import torch
from fairseq.dataclass import FairseqDataclass
from fairseq.optim import adam, register_optimizer
from omegaconf import II


@dataclass
class FusedAdamWConfig(FairseqDataclass):
    """The flags of fairseq's Adam, with its defaults."""

    adam_betas: Any = field(default=(0.9, 0.999), metadata={"help": "betas of both moments"})
    adam_eps: float = field(default=1e-8, metadata={"help": "epsilon, added before the bias is corrected"})
    weight_decay: float = field(default=0.0, metadata={"help": "weight decay, decoupled from the gradient"})
    lr: list[float] = II("optimization.lr")  # noqa: RUF009 -- a text, as in fairseq's own


class FusedAdamW(torch.optim.AdamW):
    """torch's fused AdamW with the formula and the state of `fairseq.optim.adam.Adam`, so that either resumes from it.

    fairseq's denominator is sqrt(v) + epsilon, corrected as a whole: sqrt(v / c) + epsilon / sqrt(c), where c = 1 -
    beta2^t. torch adds its epsilon as it is, so that it is given epsilon / sqrt(c).
    """

    supports_flat_params = True
    supports_step_with_scale = True  # FP16's loss scale and the clipping, without a pass of their own

    def __init__(self, params, **options):
        super().__init__(params, fused=True, **options)
        self._steps = 0  # as in the state, which is on the device

    @torch.no_grad()
    def step(self, closure=None, scale: float | torch.Tensor = 1.0):
        """One update with the gradients divided by `scale`, a number or a scalar on any device."""
        self._steps += 1
        given = [group["eps"] for group in self.param_groups]
        device = self.param_groups[0]["params"][0].device
        unscaled = isinstance(scale, float) and scale == 1
        self.grad_scale = None if unscaled else torch.as_tensor(scale, dtype=torch.float32, device=device)
        try:
            for group in self.param_groups:
                group["eps"] /= math.sqrt(1 - group["betas"][1] ** self._steps)
            return super().step(closure)
        finally:
            for group, eps in zip(self.param_groups, given, strict=True):
                group["eps"] = eps

    def state_dict(self) -> dict[str, Any]:
        """The state as fairseq's Adam has it, whose steps are whole numbers."""
        state = super().state_dict()
        return state | {"state": {i: kept | {"step": self._steps} for i, kept in state["state"].items()}}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over a state of this class or of fairseq's Adam, whose groups lack torch's options."""
        groups = [self.defaults | group | {"fused": True} for group in state_dict["param_groups"]]
        self._steps = max((int(kept["step"]) for kept in state_dict["state"].values()), default=0)
        super().load_state_dict(state_dict | {"param_groups": groups})


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
