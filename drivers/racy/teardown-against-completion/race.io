open a V:\a.bin access=rw disposition=overwrite-if options=noncached
write a offset=0 length=4096
spawn held read a offset=0 length=512
unload {service}
wait held timeout=2000
close a
