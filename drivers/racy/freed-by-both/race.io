open a V:\a.bin access=rw disposition=overwrite-if options=noncached
open b V:\a.bin access=rw options=noncached
write a offset=0 length=512
spawn one close a
close b
wait one
