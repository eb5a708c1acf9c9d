"""The pytest plugin: options, marks, fixtures and what is kept of a run; one feature, one module.

pip installs it with fltlab (entry point `pytest11`), so every pytest run on the machine loads it: its modules import
what is heavy only when a test asks for a guest, and a run without such tests leaves nothing behind.
"""

pytest_plugins = [
    "harness.plugin.options",
    "harness.plugin.run",
    "harness.plugin.preflight",
    "harness.plugin.marks",
    "harness.plugin.facts",
    "harness.plugin.outcomes",
    "harness.plugin.comparison",
    "harness.plugin.conversation",
    "harness.plugin.evidence",
    "harness.plugin.postmortem",
    "harness.plugin.recording",
    "harness.plugin.fixtures",
    "harness.plugin.schedules",
    "harness.plugin.folding",
    "harness.plugin.second_attempt",
    "harness.plugin.resume",
    "harness.plugin.signals",
    "harness.plugin.live",
    "harness.plugin.step_tree",
    "harness.plugin.waiting",
    "harness.plugin.workers",
    "harness.plugin.cluster",
    "harness.plugin.safe_reports",
]
