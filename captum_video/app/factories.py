"""Networks of the user's own: a factory, or a module, by its name."""

import importlib
import os
import sys
from functools import reduce
from typing import Any

from torch import nn

from captum_video.app.errors import AppError, what_was_raised
from captum_video.app.network import Network


def from_factory(name: str) -> Network:
    """Call ``package.module:factory``, or take the module of that name.

    Raises:
        AppError: nothing of that name can be imported, it raises, or gives no module.
    """
    module, _, attribute = name.partition(":")
    found = _found(name, module, attribute)
    if not isinstance(found, nn.Module):
        found = _called(name, found)
    return Network(found.eval(), name)


def _found(name: str, module: str, attribute: str) -> Any:
    # an installed command finds the current folder as ``python -m`` does
    if not {"", os.getcwd()} & set(sys.path):
        sys.path.insert(0, os.getcwd())
    try:
        imported = importlib.import_module(module)
    except Exception as error:  # importing runs the user's code
        raise AppError(
            f"--model {name}: importing {module} raised {what_was_raised(error)}; MODULE:FACTORY is "
            f"looked for in the current folder and among what is installed"
        ) from error
    try:
        return reduce(getattr, attribute.split("."), imported)
    except AttributeError as error:
        raise AppError(f"--model {name}: {module} has no {attribute!r}") from error


def _called(name: str, factory: Any) -> nn.Module:
    if not callable(factory):
        raise AppError(
            f"--model {name}: expected a function without arguments or a torch.nn.Module, got "
            f"{type(factory).__name__}"
        )
    try:
        made = factory()
    except Exception as error:  # the user's code
        raise AppError(
            f"--model {name}: raised {what_was_raised(error)}; --traceback shows where"
        ) from error
    if not isinstance(made, nn.Module):
        raise AppError(
            f"--model {name}: expected it to return a torch.nn.Module, got {type(made).__name__}"
        )
    return made
