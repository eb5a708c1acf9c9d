"""Many machines: what a run on a Dask cluster needs; free of pytest."""
