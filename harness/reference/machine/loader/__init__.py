"""PE images: loading, imports, exports, unloading."""
