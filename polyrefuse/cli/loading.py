"""How a model is loaded: the options that all commands on local models share."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

_PANEL = "Loading the model"

Revision = Annotated[
    str | None, typer.Option(help="Commit of a Hub model.", rich_help_panel=_PANEL)
]
Dtype = Annotated[str, typer.Option(help="Torch dtype, or 'auto'.", rich_help_panel=_PANEL)]
Device = Annotated[str | None, typer.Option(help="Torch device.", rich_help_panel=_PANEL)]
DeviceMap = Annotated[
    str | None,
    typer.Option(help="'auto': over devices, then CPU, then disk.", rich_help_panel=_PANEL),
]
Quantization = Annotated[
    str | None, typer.Option(help="4bit or 8bit (bitsandbytes).", rich_help_panel=_PANEL)
]
OffloadFolder = Annotated[
    Path | None, typer.Option(help="Folder of weights on disk.", rich_help_panel=_PANEL)
]
ChatTemplate = Annotated[
    Path | None,
    typer.Option(help="File with a Jinja chat template to use.", rich_help_panel=_PANEL),
]
SystemPrompt = Annotated[
    str | None, typer.Option(help="System turn before every prompt.", rich_help_panel=_PANEL)
]
TrustRemoteCode = Annotated[
    bool,
    typer.Option(
        "--trust-remote-code", help="Run code that the checkpoint brings.", rich_help_panel=_PANEL
    ),
]

NAMES = (
    "revision", "dtype", "device", "device_map", "quantization", "offload_folder",
    "chat_template", "system_prompt", "trust_remote_code",
)  # fmt: skip


def load_options(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return what `load_model` is to be given, out of the values of a command's parameters."""
    return {name: given[name] for name in NAMES}
