"""`fltlab fuzz`: scripts that nobody wrote, led by what they reach in a driver's code; free of pytest."""
