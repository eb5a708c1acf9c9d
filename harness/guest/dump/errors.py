"""What can be wrong with a file that should be a dump of a Windows kernel: the user's mistake, or the guest's.

ConfigurationError
└── DumpError     the file is no such dump, is one of another kind, or is too short to be read at all
"""

from harness.errors import ConfigurationError


class DumpError(ConfigurationError):
    """A file is not a dump of a 64-bit Windows kernel that can be read."""
