open a V:\a.bin access=rw disposition=overwrite-if options=noncached
open b V:\a.bin access=rw options=noncached
write a offset=0 length=4096
spawn one read a offset=0 length=512
write b offset=0 length=512
wait one
