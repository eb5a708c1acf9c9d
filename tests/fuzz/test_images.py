"""Images that are damaged anyhow are refused with a sentence, by the loader and by `drivers check`, or are loaded."""

import random
from collections.abc import Callable
from pathlib import Path

import pefile
import pytest

from harness.errors import ConfigurationError
from harness.minifilter.build import SUPPORT, build_drivers
from harness.minifilter.check import check_image
from harness.reference.machine.loader.loader import LoadError
from harness.reference.windows.kernel import Kernel
from tests.fuzz.mutate import EXTREMES

DIRECTORIES = (0, 1, 3, 5, 6, 10)  # exports, imports, exceptions, relocations, debug data, load configuration


@pytest.fixture(scope="module")
def driver() -> bytes:
    return build_drivers(SUPPORT, SUPPORT.parent / "build" / "drivers", ["passthrough"])["passthrough"].sys.read_bytes()


def places(image: bytes) -> list[tuple[int, int]]:
    """Where in the file what a loader reads lies: headers, section table, data directories. Begin and end."""
    with pefile.PE(data=image, fast_load=True) as parsed:
        found = [(0, int(parsed.OPTIONAL_HEADER.SizeOfHeaders))]
        for number in DIRECTORIES:
            entry = parsed.OPTIONAL_HEADER.DATA_DIRECTORY[number]
            if entry.Size:
                begin = int(parsed.get_offset_from_rva(entry.VirtualAddress))
                found.append((begin, begin + min(entry.Size, 4096)))
    return found


def damaged(image: bytes, where: list[tuple[int, int]], chosen: random.Random) -> bytes:
    changed = bytearray(image)
    for _ in range(chosen.randrange(1, 6)):
        at = chosen.randrange(*chosen.choice(where))
        if chosen.random() < 0.5:
            changed[at] = chosen.randrange(256)
        else:
            changed[at : at + 4] = chosen.choice([*EXTREMES, chosen.randbytes(4), b"\1\0\0\0"])
    return bytes(changed[: chosen.randrange(len(changed))] if chosen.random() < 0.05 else changed)


def test_a_damaged_image_is_loaded_or_refused_with_a_sentence(
    driver: bytes, times: Callable[[int], range], tell: dict[str, object], tmp_path: Path
):
    where = places(driver)
    kernel = Kernel()
    loader = kernel.loader
    file = tmp_path / "damaged.sys"
    loaded = refused = found = 0
    for seed in times(250):
        image = damaged(driver, where, random.Random(seed))
        try:
            loader.unload(loader.load(f"damaged{seed}.sys", image))
            loaded += 1
        except LoadError as error:
            refused += 1
            assert error.message.startswith(f"damaged{seed}.sys"), (seed, error.message)  # noqa: PT017
        if seed % 10 == 0:
            file.write_bytes(image)
            findings = check_image(file, ours=False)
            found += bool(findings)
            assert all(finding.message for finding in findings)

    assert loaded
    assert refused
    instances = {"DefaultInstance": {"type": "REG_SZ", "value": "whole"}, "whole": {"key": {}}}
    assert kernel.run(kernel.drivers.load("whole", driver, {"Instances": {"key": instances}})) == 0
    tell |= {"loader mutations": loaded + refused, "refused": refused, "checked images with findings": found}


def test_a_directory_that_is_named_like_a_driver_is_refused(tmp_path: Path):
    (tmp_path / "X.sys").mkdir()

    with pytest.raises(ConfigurationError, match="it is a directory"):
        raise AssertionError(check_image(tmp_path / "X.sys", ours=False))
