"""AdamW with epsilon added before the bias is corrected, in one pass by torch's own kernel."""

import math
from typing import Any

import torch


class FusedAdamW(torch.optim.AdamW):
    """torch's fused AdamW with the formula and the state of `fairseq.optim.adam.Adam`, so that either resumes from it.

    Its denominator is sqrt(v) + epsilon, corrected as a whole: sqrt(v / c) + epsilon / sqrt(c), where c = 1 - beta2^t.
    torch adds its epsilon as it is, so that it is given epsilon / sqrt(c). Transformers' own AdamW, `adamw_hf` of its
    Trainer, has the same denominator.
    """

    supports_flat_params = True
    supports_step_with_scale = True  # FP16's loss scale and the clipping, without a pass of their own

    def __init__(self, params, **options):
        super().__init__(params, fused=True, **options)
        # GradScaler divides the gradients itself and leaves out steps that are not finite, which must not count here
        self._step_supports_amp_scaling = False
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
