"""kd: debugger prints and breaks."""
