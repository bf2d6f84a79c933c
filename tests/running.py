"""Running a command in this process."""

from collections.abc import Callable

import pytest


def exit_code(main: Callable[[list[str]], None], *arguments) -> int:
    """The code that `main` exits with when it is given these arguments, each as text."""
    with pytest.raises(SystemExit) as ended:
        main([str(argument) for argument in arguments])
    return ended.value.code
