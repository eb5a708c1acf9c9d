"""The fleet: guests of every kind, with stacks of minifilters on them, for whoever needs one.

The pytest plugin, the command line, the benchmarks: each says what it wants (`Settings`, a `Scene`), a `Provider` opens
guests of one kind, and a `Lab` does I/O through the stack. Nothing here knows pytest.
"""
