connect p \racy
spawn gone disconnect p
open a V:\a.bin access=rw disposition=overwrite-if
wait gone
close a
