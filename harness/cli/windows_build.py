"""How `fltlab image build` shows a Windows installation: the phase, a bar, and the time left from past builds."""

from rich.console import Console
from rich.progress import BarColumn, TextColumn
from rich.progress import Progress as Bar

from harness.host.accelerator import Accelerator
from harness.image.store import Image
from harness.image.windows.build import Builder
from harness.image.windows.connect import connector
from harness.image.windows.prepare import Prepared
from harness.image.windows.profile import Host
from harness.image.windows.watch import Progress
from harness.image.windows.workspace import Workspace

PARTS = 1000


def build_image(prepared: Prepared, host: Host, *, clean: bool) -> Image:
    """Build an image and show how far it is; ctrl-c stops it, and the next call goes on."""
    console = Console(stderr=True, highlight=False)
    name = prepared.plan.recipe.name
    edition = prepared.plan.edition
    what = f"{edition.name} (index {edition.index})" if edition is not None else prepared.source.name
    console.print(f"{name}: {what}, {prepared.plan.mode.value}, {host.accelerator.value}", markup=False)
    if host.accelerator is Accelerator.TCG:
        console.print("without KVM an installation takes hours; on a machine with KVM about 15 minutes", markup=False)
    directory = Workspace.of(name, prepared.key).evidence
    with Bar(
        TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f} %"),
        TextColumn("{task.fields[left]}"), TextColumn("{task.fields[note]}"), console=console,
    ) as bar:  # fmt: skip
        task = bar.add_task(name, total=PARTS, left="", note="")

        def report(progress: Progress) -> None:
            bar.update(
                task,
                completed=progress.fraction * PARTS,
                description=progress.phase.title,
                left=f"{duration(progress.remaining)} left",
                note=progress.note,
            )

        return Builder(prepared, host, connector(name, directory), report=report, clean=clean).build()


def duration(seconds: float) -> str:
    """`1 h 05 min`, `12 min`, `40 s`."""
    whole = int(seconds)
    if whole >= 3600:
        return f"{whole // 3600} h {whole % 3600 // 60:02} min"
    return f"{whole // 60} min" if whole >= 120 else f"{whole} s"
