"""The file system below the filter manager: Windows file semantics over a directory of the host."""
