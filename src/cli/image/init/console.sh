# A login shell on the console, again whenever it ends. `poweroff -f` ends the guest.
echo "sterna: console ready"
while :; do
  setsid cttyhack /bin/sh -l
done
