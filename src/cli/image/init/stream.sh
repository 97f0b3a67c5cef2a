# A paced stream: prints `load N ok at SECONDS` some 25 times a second, with the guest's own time since its boot. Who watches it sees how
# long it stands still, and by the times what the guest itself noticed of that. The line `stop` on the console ends it.
rm -f /tmp/stop
(while read -r word; do [ "$word" = stop ] && : >/tmp/stop; done) </dev/console 2>/dev/null &
reader=$!
echo "sterna: stream ready"
frame=0
while [ ! -e /tmp/stop ]; do
  frame=$((frame + 1))
  read -r seconds _ </proc/uptime
  echo "load $frame ok at $seconds"
  sleep 0.03
done
kill $reader 2>/dev/null
echo "sterna: stream ok, $frame frames"
