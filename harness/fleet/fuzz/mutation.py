"""Cases that are nearly others: bytes, numbers, words and steps changed, by one generator of random numbers."""

from collections.abc import Iterator, Sequence
from random import Random

from harness.fleet.fuzz.case import Case, Step, sound
from harness.fleet.fuzz.vocabulary import EDGES, FARTHEST, HEX_KEYS, NUMBER_KEYS, TEXT_KEYS, WORDS, Vocabulary, front

MOST_STEPS = 24
MOST_BYTES = 4096
WALKED_BYTES, WALKED_NUMBERS, WALKED_TEXTS = 24, 12, 16
EXTREMES = (1, 0x1_0000, 0x8000_0000, 0xFFFF_FFFF)


class Mutator:
    """Makes cases of others."""

    def __init__(self, random: Random, vocabulary: Vocabulary) -> None:
        self._random = random
        self._vocabulary = vocabulary

    def another(self, corpus: Sequence[Case]) -> Case:
        """A case of which nobody knows what it does: most often a changed one of the corpus, the newest first."""
        random = self._random
        if not corpus or random.random() < 0.03:
            return sound(self._vocabulary.beginning(random))
        base = corpus[self._place(len(corpus))]
        if random.random() < 0.1:
            base = self._joined(base, corpus[self._place(len(corpus))])
        return self.near(base)

    def near(self, base: Case) -> Case:
        """A case with a few changes."""
        for _ in range(self._random.choice((1, 1, 2, 2, 3, 5))):
            base = self._changed(base)
        return sound(base[:MOST_STEPS]) or self._vocabulary.beginning(self._random)[:1]

    def walk(self, case: Case) -> Iterator[Case]:
        """A case with what the driver knows best at each of the first places of its last bytes and name, in turn."""
        yield from self._walked_name(case)
        places = [at for at, step in enumerate(case) if any((step.verb, key) in HEX_KEYS for key, _ in step.keys)]
        if not places:
            return
        at = places[-1]
        step = case[at]
        key, value = next(item for item in step.keys if (step.verb, item[0]) in HEX_KEYS)
        data = bytes.fromhex(value)
        for offset in range(0, min(len(data), WALKED_BYTES), 4):
            for number in (*self._vocabulary.dictionary.numbers[:WALKED_NUMBERS], *EXTREMES):
                changed = data[:offset] + number.to_bytes(4, "little") + data[offset + 4 :]
                yield (*case[:at], step.given(key, changed.hex()), *case[at + 1 :])

    def _walked_name(self, case: Case) -> Iterator[Case]:
        """A case whose last file is called by each text that the driver knows best: as a name, and as a suffix."""
        places = [at for at, step in enumerate(case) if step.verb == "open" and step.operands[1].startswith("V:")]
        for text in self._vocabulary.dictionary.texts[:WALKED_TEXTS] if places else ():
            at = places[-1]
            step, plain = case[at], text.strip("\\.:") or "a"
            for name in (plain, f"a{plain}", f"a.{plain}", f"a.{plain}x"):
                called = Step(step.verb, (step.operands[0], f"V:\\{name}"), step.keys, step.words)
                yield from filter(None, [sound((*case[:at], called, *case[at + 1 :]))])

    def _place(self, count: int) -> int:
        return (
            count - 1 - int(count * self._random.random() ** 2)
            if self._random.random() < 0.5
            else self._random.randrange(count)
        )

    def _joined(self, one: Case, other: Case) -> Case:
        random = self._random
        return one[: random.randrange(1, len(one) + 1)] + other[random.randrange(len(other)) :]

    def _changed(self, case: Case) -> Case:
        random = self._random
        at = random.randrange(len(case))
        chosen = random.random()
        if chosen < 0.7:
            return (*case[:at], self._changed_step(case[at]), *case[at + 1 :])
        if chosen < 0.82:
            return (*case[: at + 1], self._vocabulary.step(random), *case[at + 1 :])
        if chosen < 0.88:
            return (*case[: at + 1], self._changed_step(case[at]), *case[at + 1 :])
        if chosen < 0.95 and len(case) > 1:
            return (*case[:at], *case[at + 1 :])
        other = random.randrange(len(case))
        swapped = list(case)
        swapped[at], swapped[other] = swapped[other], swapped[at]
        return tuple(swapped)

    def _changed_step(self, step: Step) -> Step:
        random, words = self._random, self._vocabulary
        if step.verb == "open" and step.operands[1].startswith("V:") and random.random() < 0.7:
            return Step(step.verb, (step.operands[0], words.path_near(random, step.operands[1])), step.keys, step.words)
        if not step.keys:
            return words.step(random)
        bytes_ = [item for item in step.keys if (step.verb, item[0]) in HEX_KEYS]
        key, value = random.choice(bytes_ if bytes_ and random.random() < 0.8 else step.keys)
        return step.given(key, self._changed_value(step.verb, key, value))

    def _changed_value(self, verb: str, key: str, value: str) -> str:
        random = self._random
        if (verb, key) in HEX_KEYS:
            return self._bytes(bytes.fromhex(value)).hex()
        if (verb, key) in WORDS:
            return random.choice(WORDS[verb, key])
        if key == "code":
            codes = self._vocabulary.dictionary.codes
            near = (int(value, 0) + random.choice((4, -4, 1, 2, 3))) & 0xFFFF_FFFF
            return hex(front(random, codes) if codes and random.random() < 0.6 else near)
        if key in NUMBER_KEYS:
            return str(
                min(self._number(value), FARTHEST) if key in ("offset", "length", "value") else self._number(value)
            )
        if key in TEXT_KEYS:
            return self._vocabulary.path(random) if key == "path" else self._vocabulary.text(random)
        return value

    def _number(self, value: str) -> int:
        random = self._random
        if random.random() < 0.3:
            return max(0, int(value, 0) + random.randrange(-16, 17))
        return self._vocabulary.size(random) if random.random() < 0.7 else self._vocabulary.number(random)

    def _bytes(self, data: bytes) -> bytes:
        random, words = self._random, self._vocabulary
        changed = bytearray(data)
        # What a driver looks at first stands in front.
        at = int((len(changed) + 1) * random.random() ** (2 if random.random() < 0.7 else 1))
        aligned = at & ~3
        match random.randrange(14):
            case 0 if changed:
                changed[at % len(changed)] ^= 1 << random.randrange(8)
            case 1:
                changed[at : at + 1] = random.randbytes(1)
            case 2 | 3 | 9 | 10 | 11 | 12:
                word = words.word(random)
                changed[aligned : aligned + len(word)] = word
            case 4:
                word = words.word(random)
                changed[at : at + (len(word) if random.random() < 0.5 else 0)] = word
            case 5:
                width = random.choice((1, 2, 4, 8))
                number = int.from_bytes(changed[aligned : aligned + width], "little") + random.randrange(-35, 36)
                changed[aligned : aligned + width] = (number & (1 << 8 * width) - 1).to_bytes(width, "little")
            case 6:
                width = random.choice((1, 2, 4, 8))
                number = (
                    random.choice((*EDGES, len(changed), len(changed) + 1, len(changed) - 1)) & (1 << 8 * width) - 1
                )
                changed[aligned : aligned + width] = number.to_bytes(width, "little")
            case 7:
                size = words.size(random)
                changed = changed[:size] + bytes(max(0, size - len(changed)))
            case 8:
                changed[at:at] = changed[at : at + random.randrange(32)]
            case _:
                changed[at : at + random.randrange(16)] = b""
        return bytes(changed[:MOST_BYTES])
