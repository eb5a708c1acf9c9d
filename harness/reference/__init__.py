"""The reference kernel: an executable model of the documented filter-manager contract. Imports only harness.nt."""
