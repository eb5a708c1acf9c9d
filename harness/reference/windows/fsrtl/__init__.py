"""fsrtl: what file systems share: wildcards, oplocks, directory notification; each package knows no file system."""
