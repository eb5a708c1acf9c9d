"""The commands of the guest's shell, a module for a family of them."""
