"""fltmc: load, unload, attach and detach minifilters, and list filters, instances and volumes as Windows lists them."""

from harness.nt.hresult import hresult_of_status, message_of
from harness.reference.guestd.commands.table import Invocation, command
from harness.reference.guestd.guest_registry import NoSuchKey
from harness.reference.guestd.kernel_process import KernelRefused
from harness.reference.guestd.paths import BadPath
from harness.wire import kernel as wire


class Refused(Exception):
    """What the filter manager answered, with its HRESULT."""

    def __init__(self, hresult: int, text: str = "") -> None:
        super().__init__(text or message_of(hresult) or f"Unknown error 0x{hresult:08x}.")
        self.hresult = hresult


def refusal(error: KernelRefused) -> Refused:
    """The kernel's answer as fltmc reports it."""
    status = error.refused.ntstatus & 0xFFFFFFFF
    hresult = hresult_of_status(status)
    known = message_of(hresult) or f"NTSTATUS 0x{status:08x}."
    detail = error.refused.message
    return Refused(hresult, f"{known} ({detail})" if detail else known)


def load_service(call: Invocation, name: str) -> None:
    """Load a minifilter by its service; Refused says why not."""
    try:
        image = call.guest.image_of(name)
    except NoSuchKey:
        raise Refused(0x80070002) from None
    except BadPath as problem:
        raise Refused(0x80070002, str(problem)) from None
    if not image.is_file():
        raise Refused(0x80070002)
    try:
        call.guest.ask_kernel(wire.Load(name))
    except KernelRefused as error:
        raise refusal(error) from None


@command("fltmc")
def fltmc(call: Invocation) -> int:
    """Run one fltmc operation; without one, list filters."""
    words = list(call.words[1:]) or ["filters"]
    operation = OPERATIONS.get(words[0].lower())
    if operation is None:
        call.out(f"Invalid parameter: {words[0]}\n\nValid commands:\n    {'  '.join(OPERATIONS)}")
        return 1
    title, function = operation
    try:
        function(call, words[1:])
    except Refused as refused:
        call.out(f"\n{title} failed with error: 0x{refused.hresult:08x}\n{refused}\n")
        return 1
    except KernelRefused as error:
        settled = refusal(error)
        call.out(f"\n{title} failed with error: 0x{settled.hresult:08x}\n{settled}\n")
        return 1
    except IndexError:
        call.out(f"Invalid parameter: fltmc {words[0]} needs more")
        return 1
    return 0


def _load(call: Invocation, words: list[str]) -> None:
    load_service(call, words[0])


def _unload(call: Invocation, words: list[str]) -> None:
    call.guest.ask_kernel(wire.Unload(words[0]))


def _options(words: list[str]) -> dict[str, str]:
    options = {}
    for position, word in enumerate(words):
        if word.lower() in ("-i", "-a", "-f", "-v"):
            options[word.lower()] = words[position + 1]
    return options


def _attach(call: Invocation, words: list[str]) -> None:
    options = _options(words[2:])
    attach = wire.Attach(words[0], words[1], options.get("-i"), options.get("-a"))
    attached = call.guest.kernel.ask(attach, wire.Attached)
    call.out(f"\nATTACH SUCCESS:  Instance Name = {attached.instance}, Volume = {words[1]}")


def _detach(call: Invocation, words: list[str]) -> None:
    instance = words[2] if len(words) > 2 and not words[2].startswith("-") else _options(words[2:]).get("-i")
    call.guest.kernel.ask(wire.Detach(words[0], words[1], instance), wire.Done)


def _filters(call: Invocation, words: list[str]) -> None:
    call.out("\nFilter Name                     Num Instances    Altitude    Frame")
    call.out("------------------------------  -------------  ------------  -----")
    for item in call.guest.kernel.ask(wire.ListFilters(), wire.Filters).filters:
        call.out(f"{item.name:<30}  {item.instances:>9}       {item.altitude:<13}  {item.frame}")


def _instance_row(item: wire.InstanceFacts) -> str:
    return (
        f"{item.filter:<20}  {item.volume:<37}  {item.altitude:^12}  {item.instance:<22}"
        f"  {item.frame:^5}   {item.features:08x}  "
    )


def _instances(call: Invocation, words: list[str]) -> None:
    options = _options(words)
    call.out(
        "\nFilter                Volume Name                              Altitude        Instance Name       Frame"
        "   SprtFtrs  VlStatus"
    )
    call.out(
        "--------------------  -------------------------------------  ------------  ----------------------  -----"
        "   --------  --------"
    )
    for item in call.guest.kernel.ask(wire.ListInstances(), wire.Instances).instances:
        wanted = (options.get("-f", item.filter), options.get("-v", item.volume))
        if tuple(text.casefold() for text in wanted) == (item.filter.casefold(), item.volume.casefold()):
            call.out(_instance_row(item))


def _volumes(call: Invocation, words: list[str]) -> None:
    call.out("\nDos Name                        Volume Name                              FileSystem       Status")
    call.out("------------------------------  ---------------------------------------  ---------------  --------")
    for item in call.guest.kernel.ask(wire.ListVolumes(), wire.Volumes).volumes:
        call.out(f"{item.dos_name:<30}  {item.name:<39}  {item.file_system:<15}  ")


OPERATIONS = {
    "load": ("Load", _load),
    "unload": ("Unload", _unload),
    "filters": ("Filter listing", _filters),
    "instances": ("Instance listing", _instances),
    "volumes": ("Volume listing", _volumes),
    "attach": ("Attach", _attach),
    "detach": ("Detach", _detach),
}
