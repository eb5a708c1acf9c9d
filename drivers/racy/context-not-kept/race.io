open a V:\a.bin access=rw disposition=overwrite-if options=noncached
write a offset=0 length=4096
open b V:\a.bin access=rw options=noncached
spawn one read a offset=0 length=512
read b offset=0 length=512
wait one
close a
close b
