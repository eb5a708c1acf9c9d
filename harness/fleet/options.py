"""The options of a run: the same for `fltlab run` and for plain `pytest suites/`."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Option:
    """One option, as pytest and the command line both declare it."""

    flag: str
    help: str
    metavar: str | None = None
    repeatable: bool = False
    kind: type = str

    @property
    def name(self) -> str:
        """The name its value has in Python."""
        return "fltlab_" + self.flag.removeprefix("--").replace("-", "_")


GUEST = Option(
    "--guest",
    "guest to run on: reference (QEMU), reference-local (a local process), or the name of a Windows image; "
    "several times for several guests (default: reference)",
    "NAME",
    repeatable=True,
)
ACCEL = Option("--accel", "QEMU's accelerator: kvm or tcg (default: the best that really runs a guest)", "NAME")
OUT = Option("--out", "directory of this run's files (default: runs/<time>-<id>)", "DIR")
SCHEDULES = Option(
    "--schedules",
    "on reference-local: try each test under so many schedules (N, pct:N, bounded:N), until one makes it fail",
    "N",
)
SCHEDULE = Option(
    "--schedule", "on reference-local: run under one schedule: a schedule.txt of a run, or its moves", "FILE|MOVES"
)
SEEDS = Option("--seeds", "on reference-local: run each test with each of these seeds, as one test", "A..B")
SEED = Option("--seed", "seed of the reference kernel's scheduler (default: 1)", "N", kind=int)
DRIVERS = Option(
    "--drivers", "directory of further drivers, each with its driver.yaml (default: ./drivers)", "DIR", repeatable=True
)
MUTANT = Option("--mutant", "break of the contract to build into the reference kernel", "NAME", repeatable=True)
REPLACE = Option(
    "--replace", "have another driver take the place of NAME in every stack", "NAME=DRIVER", repeatable=True
)
IMAGE_DIR = Option("--image-dir", "directory of guest images (default: the user's data directory)", "DIR")

RESUME = Option(
    "--resume", "finish an interrupted run: its directory, its id, or `last`; results that it has stand", "RUN"
)

FILESYSTEM = Option(
    "--filesystem",
    "file system of the data volume: ntfs, refs, exfat, fat32; several times for several (default: ntfs)",
    "NAME",
    repeatable=True,
)
DATA_VOLUME = Option(
    "--data-volume",
    "on reference guests: a further volume, e.g. W:fat32 or E:exfat,removable",
    "X:[NAME]",
    repeatable=True,
)
FILE_SYSTEM_DRIVER = Option(
    "--file-system-driver",
    "on reference-local: the .sys of a file system and the image of a disk with it, which V: is then",
    "SYS=IMAGE",
)
VERIFIER = Option(
    "--verifier",
    "Driver Verifier of Windows guests: off, standard, filter, special-pool, low-resources; several times for several "
    "(default: off)",
    "LEVEL",
    repeatable=True,
)
PAUSE = Option("--pause-on-failure", "stop at the first failure, its guest paused for a debugger", kind=bool)
COVERAGE = Option(
    "--coverage",
    "lines and branches of the drivers' own sources that ran, from their PDBs, on reference guests: "
    "lcov into FILE.info or FILE.lcov, Cobertura into FILE.xml",
    "FILE",
)
RECORD = Option("--record", "keep what is said to the guests in a new directory, for `fltlab replay`", "DIR")
REPLAY = Option("--replay", "have a recording of --record answer, and no guest (see `fltlab replay`)", "DIR")

CLUSTER = Option(
    "--cluster",
    "share the tests out among the workers of a Dask cluster: of the scheduler at this address, or of one on this "
    "machine alone (see docs/cluster.md)",
    "[ADDRESS]",
)
WORKERS = Option(
    "--workers", "how many workers a cluster on this machine has (default: one for each processor)", "N", kind=int
)
STORE = Option(
    "--store",
    "where the machines of a cluster have files in common: a directory, or what fsspec knows (s3://…, sftp://…)",
    "URL",
)
DASHBOARD = Option("--dashboard", "let a cluster on this machine have Dask's dashboard", kind=bool)
INSECURE = Option("--cluster-insecure", "take a scheduler on another machine also without TLS", kind=bool)

OPTIONS = (
    *(GUEST, ACCEL, OUT, SEED, SEEDS, SCHEDULES, SCHEDULE, DRIVERS, REPLACE, MUTANT, IMAGE_DIR, RESUME),
    *(FILESYSTEM, DATA_VOLUME, FILE_SYSTEM_DRIVER, VERIFIER, PAUSE, COVERAGE, RECORD, REPLAY),
    *(CLUSTER, WORKERS, STORE, DASHBOARD, INSECURE),
)
