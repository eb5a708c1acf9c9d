"""The guest daemon: what answers WinRM in a reference guest, and plays the command line of Windows there.

`python -m harness.reference.guestd --config FILE` reads a JSON file (mode 0600) with the members of
`configuration.Configuration`, starts the reference kernel as a process of its own, and answers WS-Management on the
address and port that it names. Port 0 takes a free one. The first line on standard output is
`{"address": ..., "port": ...}` once requests are answered. With `--end-with-stdin` the daemon ends when its standard
input is closed: so it dies with the process that started it.

Only the standard library and `harness.nt` are imported, and little of the former: under TCG every import is felt.
"""
