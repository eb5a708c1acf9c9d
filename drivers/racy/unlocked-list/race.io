spawn one open a V:\a.bin access=rw disposition=open-if
open b V:\b.bin access=rw disposition=open-if
wait one
close a
close b
