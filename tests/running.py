"""Running a command in this process, or a forward with a look at what it keeps."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import torch


def exit_code(main: Callable[[list[str]], None], *arguments) -> int:
    """The code that `main` exits with when it is given these arguments, each as text."""
    with pytest.raises(SystemExit) as ended:
        main([str(argument) for argument in arguments])
    return ended.value.code


@contextmanager
def kept_for_backward(model: torch.nn.Module) -> Iterator[dict[int, int]]:
    """{address: bytes} of the storages that autograd saves within, but for those of the model's parameters."""
    own = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}
    kept, alive = {}, []

    def count(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage.nbytes()
            alive.append(tensor)  # so that no address is given out twice
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
        yield kept
