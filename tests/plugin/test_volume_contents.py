"""A test looks at the volume as any program does: contents, names, the whole tree."""

from harness.fleet.settings import LOCAL_GUEST

SUITE = r"""
    import pytest
    from fltlab import Lab, Volume, step
    from harness.errors import TestError

    @pytest.mark.stack("passthrough")
    def test_of_a_user(lab: Lab, volume: Volume):
        lab.io(r'''
            open  a V:\a.txt access=write disposition=create
            write a text=grüße
            close a
            open  big V:\big.bin access=write disposition=create
            write big length=1000000 fill=0x41
            close big
            open  empty V:\empty access=write disposition=create
            close empty
            open  d V:\d disposition=create options=directory
            open  e V:\d\e disposition=create options=directory
            open  f V:\d\e\f disposition=create access=write
        ''')

        assert volume.text("a.txt") == "grüße"
        assert volume.bytes("big.bin") == b"A" * 1_000_000
        assert volume.bytes("empty") == b""
        assert volume.directory() == ["a.txt", "big.bin", "d", "empty"]
        assert volume.directory(r"d\e") == ["f"]
        assert volume.tree() == ["a.txt", "big.bin", "d\\", "d\\e\\", "d\\e\\f", "empty"]
        with pytest.raises(TestError, match=r'cannot be looked at: open file V:\\none .*OBJECT_NAME_NOT_FOUND'):
            volume.bytes("none")
        assert len(lab.history) == 1
"""


def test_what_is_on_the_volume_is_read_through_the_stack(pytester):
    pytester.makepyfile(SUITE)

    ran = pytester.runpytest_subprocess("--guest", LOCAL_GUEST, "-p", "no:cacheprovider", "-v")

    ran.assert_outcomes(passed=1)
    ran.stdout.re_match_lines(  # and -v shows what it did, step by step
        [
            r"\S+::test_of_a_user PASSED .*",
            r"  guest reference-local",
            r"  stack passthrough",
            r"  io 1: 11 steps, \d+\.\d\d s",
            r"    open +a V:\\a\.txt access=write disposition=create  -> SUCCESS",
        ],
        consecutive=True,
    )
