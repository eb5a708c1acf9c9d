open a V:\a.bin access=rw disposition=overwrite-if options=noncached
write a offset=0 length=4096
read a offset=0 length=512
close a
