"""ksecdd: the primitives of CNG that drivers call."""
