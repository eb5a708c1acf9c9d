connect p \racy
spawn told send-message p data=01000000
unload {service}
wait told
