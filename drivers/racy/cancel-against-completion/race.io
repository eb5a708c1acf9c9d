open a V:\a.bin access=rw disposition=overwrite-if options=noncached,overlapped
open b V:\a.bin access=rw options=noncached
write b offset=0 length=4096
read a offset=0 length=512 async=held
spawn stop cancel a
write b offset=0 length=512
wait stop
wait held
close a
close b
