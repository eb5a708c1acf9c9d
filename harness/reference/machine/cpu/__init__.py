"""The processor: Unicorn, the stubs guest code calls, structured exception handling."""
