r"""The standard workload: what programs do with files, in parts, each an I/O script of its own in a folder of its own.

Nothing in it is about a minifilter: with and without one the same steps are done, and everything must come out alike.
So what a part does from several threads, it does so that no order of them can be told from another. Each part leaves
files behind, of which the census takes stock afterwards. Most scripts are files beside this one, in `parts`.
"""

from dataclasses import dataclass
from pathlib import Path

_SCRIPTS = Path(__file__).parent / "parts"


@dataclass(frozen=True)
class Part:
    """One part: its name, its script (docs/io-script.md), and the folder of V: that its files are in."""

    name: str
    script: str
    folder: str

    @property
    def lines(self) -> tuple[str, ...]:
        """The steps, as fltprobe is given them: the folder is made first, with those that it is in."""
        names = self.folder.split("\\")
        folders = ("\\".join(names[: count + 1]) for count in range(len(names)))
        made = (
            rf"open folder{count or ''} V:\{folder} access=list disposition=open-if options=directory"
            for count, folder in enumerate(folders)
        )
        return (*made, *(line.strip() for line in self.script.splitlines() if line.strip()))


def _read(name: str) -> Part:
    return Part(name, (_SCRIPTS / f"{name}.txt").read_text(encoding="ascii"), name)


THREADS = Part(
    "threads",
    "\n".join(
        (
            *(rf"open a{n} V:\threads\file{n}.bin access=rw,delete disposition=create" for n in range(4)),
            *(f"spawn t{n} write a{n} offset=0 length=65536 fill=0x{n + 1}0" for n in range(4)),
            *(f"wait t{n}" for n in range(4)),
            *(f"spawn u{n} read a{n} offset={n * 1000} length=8192" for n in range(4)),
            *(rf"spawn o{n} open b{n} V:\threads\file{n}.bin access=rw" for n in range(4)),
            *(f"wait u{n}" for n in range(4)),
            *(f"wait o{n}" for n in range(4)),
            *(f"spawn p{n} write b{n} offset=65536 length=10000 fill=0x{n + 1}1" for n in range(4)),
            *(f"spawn f{n} query a{n} class=internal" for n in range(4)),
            *(f"wait p{n}" for n in range(4)),
            *(f"wait f{n}" for n in range(4)),
            *(f"spawn x{n} flush a{n}" for n in range(4)),
            *(rf"spawn r{n} set b{n} class=end-of-file value={70000 + n}" for n in range(4)),
            *(f"wait x{n}" for n in range(4)),
            *(f"wait r{n}" for n in range(4)),
            *(f"spawn c{n} close b{n}" for n in range(4)),
            *(f"wait c{n}" for n in range(4)),
            *(rf"spawn s{n} set a{n} class=rename path=V:\threads\moved{n}.bin" for n in range(4)),
            *(f"wait s{n}" for n in range(4)),
            *(f"spawn d{n} close a{n}" for n in range(4)),
            *(f"wait d{n}" for n in range(4)),
            *(rf"spawn q{n} query-path V:\threads\moved{n}.bin" for n in range(4)),
            *(f"wait q{n}" for n in range(4)),
        )
    ),
    "threads",
)

WORKLOAD = (
    *map(_read, ("create", "cached", "noncached", "mapped", "streams", "rename", "delete")),
    *map(_read, ("enumerate", "notify", "lock", "metadata", "volume", "control")),
    THREADS,
)
