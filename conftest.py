"""Registers fltlab's pytest plugin for the suites."""

pytest_plugins = ["harness.plugin"]
