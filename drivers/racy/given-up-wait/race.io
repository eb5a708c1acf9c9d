open a V:\a.bin access=rw disposition=overwrite-if
close a
