"""Changes the proportions of a character: longer limbs, a smaller head, by scaling bones in their own directions.

Bones are recognized by their names, as Blender, Mixamo and most libraries of characters write them, and point along
their own y axis, as exporters write them. Characters with other names keep their proportions.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from animeinterp.data.characters.glb import Floats
from animeinterp.data.characters.model import Model


class Proportions(NamedTuple):
    """Factors on the bones of a character.

    Attributes:
        arms: Length of upper and lower arms.
        legs: Length of upper and lower legs.
        limbs: Thickness of both.
        torso: Length of spine and chest.
        head: Size of the head, and of what it wears.
    """

    arms: float = 1.0
    legs: float = 1.0
    limbs: float = 1.0
    torso: float = 1.0
    head: float = 1.0


def scale_bones(model: Model, proportions: Proportions) -> Floats:
    """Compute the factors on the three axes of each node, (N, 3)."""
    factors = np.ones((len(model.names), 3))
    for node, name in enumerate(model.names):
        name = name.lower()
        if "head" in name:
            factors[node] = proportions.head
        elif "arm" in name and "armature" not in name:
            factors[node] = proportions.limbs, proportions.arms, proportions.limbs
        elif "leg" in name:
            factors[node] = proportions.limbs, proportions.legs, proportions.limbs
        elif "spine" in name or "chest" in name:
            factors[node, 1] = proportions.torso
    return factors
