"""Schedules that are explored: of which drivers, by which plan. Their points lead to the scheduler."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from harness.reference.machine.cpu.exceptions import GuestException
from harness.reference.machine.scheduler.preemption_points import Point, points_of
from harness.wire.schedule import Chosen, Followed, Plan, parse_moves

if TYPE_CHECKING:
    from harness.reference.machine.choices import Choices
    from harness.reference.machine.cpu.emulator import Emulator
    from harness.reference.machine.cpu.traps import Traps
    from harness.reference.machine.loader.images import Image, ImageTable
    from harness.reference.machine.memory.memory import Memory
    from harness.reference.machine.scheduler.exploring import ExploringScheduler


class Schedules:
    """Nothing is explored until somebody asks for it."""

    def __init__(
        self,
        memory: "Memory",
        images: "ImageTable",
        emulator: "Emulator",
        traps: "Traps",
        choices: "Choices",
        scheduler: "ExploringScheduler",
    ) -> None:
        self._memory, self._images, self._emulator = memory, images, emulator
        self._traps, self._choices, self._scheduler = traps, choices, scheduler
        self._names: frozenset[str] = frozenset()
        self._points: dict[int, tuple[str, Point]] = {}
        scheduler.describe_point = self._describe

    def watch(self, names: Iterable[str]) -> None:
        """Watch these drivers (by service), those that are loaded and those that will be."""
        self._names = frozenset(name.lower() for name in names)
        for image in self._images:
            self.loaded(image)
        self._emulator.flush_code()

    def follow(self, plan: Plan) -> None:
        """Go on by a plan. MalformedMessageError if a move of it is none."""
        chosen = (move for text in plan.moves for move in parse_moves(text) if isinstance(move, Chosen))
        self._choices.explore({(move.kind, move.number): move.taken for move in chosen}, plan.random)
        self._scheduler.follow(plan)

    @contextmanager
    def suspended(self) -> Iterator[None]:
        """What goes on meanwhile is no part of what is explored, and as the seed has it."""
        with self._scheduler.suspended(), self._choices.suspended():
            yield

    def followed(self) -> Followed:
        """How the run has gone since."""
        told = self._scheduler.followed()
        drawn = (str(Chosen(*deviation)) for deviation in self._choices.deviations)
        return replace(told, moves=(*drawn, *told.moves))

    def loaded(self, image: "Image") -> None:
        """An image has been mapped."""
        if image.user or image.name.lower() not in self._names:
            return
        points = {point.address: (image.describe(point.address), point) for point in points_of(image, self._read)}
        self._points |= points
        self._emulator.watch_instructions(points, self._reached)

    def _read(self, address: int, size: int) -> bytes:
        try:
            return self._memory.read(address, size)
        except GuestException:
            return b""

    def _reached(self, address: int) -> None:
        try:
            if self._scheduler.reached(address):
                self._traps.break_before(address)
        except BaseException as error:  # noqa: BLE001 - a hook must not raise; the engine raises it again
            self._traps.fail(error)

    def _describe(self, address: int) -> tuple[str, int, bool]:
        name, point = self._points[address]
        if point.call:
            return name, 0, False
        return name, point.cell(self._emulator.state().general), point.writes
