"""Published checkpoints of others become checkpoints of this project; one file per family and framework.

`import_published` finds the layout by the names in the file. docs/importing.md says what is read, and how it is known.
"""

from export.errors import ImportRefused
from export.importers import edsr, l2h, mdsr, srresnet, srresnet_keras, srresnet_pytorch
from export.importers.files import StateFile, list_keys, read_state_file
from export.importers.layout import Imported, Layout, Options
from export.importers.refused import refused

LAYOUTS: tuple[Layout, ...] = (
    *edsr.LAYOUTS,
    *mdsr.LAYOUTS,
    *srresnet.LAYOUTS,
    *srresnet_keras.LAYOUTS,
    *srresnet_pytorch.LAYOUTS,
    *l2h.LAYOUTS,
)


def import_published(file: StateFile, options: Options | None = None) -> Imported:
    """The network that `file` holds, whichever of `LAYOUTS` it is of.

    Raises:
        ImportRefused: no known layout, a network that is not read, tensors that do not fit, or an option that means
            nothing for this layout.
    """
    options = options or Options()
    if known := refused(file.tensors):
        raise ImportRefused(f"{file.name}: is {known.title}, which is not read: {known.reason}")
    layout = next((layout for layout in LAYOUTS if layout.recognises(file.tensors)), None)
    if layout is None:
        read = "; ".join(layout.title for layout in LAYOUTS)
        raise ImportRefused(f"{file.name}: of no known layout ({read}); it has {list_keys(file.tensors)}")
    for name in ("residual_scale", "family"):
        if getattr(options, name) is not None and name not in layout.uses:
            raise ImportRefused(f"{file.name}: is {layout.title}, for which --{name.replace('_', '-')} means nothing")
    return layout.read(file, options)


__all__ = ["LAYOUTS", "Imported", "Layout", "Options", "StateFile", "import_published", "read_state_file"]
