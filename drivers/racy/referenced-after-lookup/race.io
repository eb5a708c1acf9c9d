open a V:\a.bin access=rw disposition=overwrite-if options=noncached
open b V:\a.bin access=rw options=noncached
spawn one write a offset=0 length=512
close b
wait one
close a
