open a V:\a.bin access=rw disposition=overwrite-if options=noncached
write a offset=0 length=4096
spawn one read a offset=0 length=512
open b V:\a.bin access=rw options=noncached
read b offset=512 length=512
wait one
