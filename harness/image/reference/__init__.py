"""The reference guest's image: a small Linux, and fltlab's own guest code that travels beside it.

`build()` gives the image, `payload()` the guest code, `machine_spec()` the machine that boots both, and `GuestSecrets`
what that machine must be handed.
"""

from harness.image.reference.boot import GuestConfiguration, GuestSecrets, machine_spec
from harness.image.reference.builder import build
from harness.image.reference.payload import Payload, payload
from harness.image.reference.recipe import Recipe, load_recipe

__all__ = [
    "GuestConfiguration",
    "GuestSecrets",
    "Payload",
    "Recipe",
    "build",
    "load_recipe",
    "machine_spec",
    "payload",
]
