"""What all of the harness's own tests share."""

pytest_plugins = ["pytester"]
