"""fsrtl: what file systems share: wildcards, locks, oplocks, notification; each package knows no file system."""
