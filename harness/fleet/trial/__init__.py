"""`fltlab try`: one driver, one standard workload, one verdict; free of pytest."""
