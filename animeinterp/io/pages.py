"""Jinja2 environments for HTML pages. Templates are in the folder `templates` of the package that writes the page."""

from __future__ import annotations

from jinja2 import Environment, PackageLoader, StrictUndefined


def create_environment(package: str) -> Environment:
    """Create the environment of a package's templates.

    Autoescape is on, so names from outside cannot become markup. A missing variable is an error.

    Args:
        package: Full name of the package.

    Returns:
        The environment.
    """
    return Environment(
        loader=PackageLoader(package),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
