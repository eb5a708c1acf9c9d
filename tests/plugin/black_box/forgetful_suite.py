"""Run by tests/plugin/test_leaks.py: each of these tests passes by itself, and its driver leaves something behind."""

import pytest

pytestmark = pytest.mark.stack("forgetful")

KINDS = [
    *("volume", "instance", "filter", "context", "data", "name", "workitem", "device", "fileobject", "process"),
    *("threadobject", "memory", "lookaside", "resource", "timer", "thread", "callback", "newdevice", "pages", "handle"),
    *("client", "irp", "rundown", "notifysync", "registry", "link", "section", "opened", "gotten"),
]


@pytest.mark.parametrize("kind", ["before", *KINDS, "after"])
def test_opens(lab, kind):
    lab.io(rf"open f V:\{kind} access=read disposition=open-if")
