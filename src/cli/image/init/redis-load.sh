# Starts redis-server and writes to it without rest: each round replaces every key and checks that its old value is what the round
# before wrote. Prints `load ROUNDS ok` every second, or BAD with what was wrong. The line `stop` on the console ends it; so
# does `redis_rounds=N` on the kernel's command line. Others there: redis_keys (256), redis_bytes (1024), redis_pause (0) seconds.
rounds=${redis_rounds:-0}
keys=${redis_keys:-256}
bytes=${redis_bytes:-1024}
pause=${redis_pause:-0}

# Commands of a round, or with check=1 the judgement of their replies: the old values, one a line.
program='
function value(round, key) {
  return round ":" key ":" substr(letters, (round * 7 + key) % 26 + 1, bytes)
}
function fail(text) { print text; failed = 1; exit }
BEGIN {
  count = 0
  while (length(letters) < bytes + 26) letters = letters "abcdefghijklmnopqrstuvwxyz"
  if (!check) for (key = 0; key < keys; key++) print "SET key:" key " " value(round, key) " GET"
  if (!check) exit
}
{
  expected = round == 1 ? "" : value(round - 1, count)
  if ($0 != expected) fail("key:" count " is " substr($0, 1, 60) ", not " substr(expected, 1, 60))
  count++
}
END { if (check && !failed && count != keys) print count " of " keys " keys" }'

redis-server --port 6379 --bind 127.0.0.1 --save '' --appendonly no --dir /tmp --logfile /tmp/redis.log --daemonize yes >/dev/null
tries=0
until [ "$(redis-cli ping 2>/dev/null)" = PONG ]; do
  tries=$((tries + 1))
  if [ $tries -gt 600 ]; then
    echo "sterna: redis-load BAD, redis-server does not answer"
    tail -n 3 /tmp/redis.log
    break
  fi
  sleep 0.1
done
echo "redis: $(redis-cli info server | grep '^redis_version' | tr -d '\r')"
redis-cli flushall >/dev/null

rm -f /tmp/stop
(while read -r word; do [ "$word" = stop ] && : >/tmp/stop; done) </dev/console 2>/dev/null &
reader=$!
echo "sterna: redis-load ready"

round=0
bad=0
told=$(date +%s)
while [ ! -e /tmp/stop ]; do
  [ "$rounds" -gt 0 ] && [ "$round" -ge "$rounds" ] && break
  round=$((round + 1))
  wrong=$(awk -v round=$round -v keys="$keys" -v bytes="$bytes" -v check=0 "$program" </dev/null |
    redis-cli | awk -v round=$round -v keys="$keys" -v bytes="$bytes" -v check=1 "$program")
  now=$(date +%s)
  if [ -n "$wrong" ]; then
    bad=$((bad + 1))
    echo "load $round BAD: $wrong"
  elif [ "$now" != "$told" ]; then
    told=$now
    echo "load $round ok"
  fi
  [ "$pause" = 0 ] || sleep "$pause"
done
kill $reader 2>/dev/null
redis-cli shutdown nosave 2>/dev/null
if [ $bad = 0 ]; then
  echo "sterna: redis-load ok, $round rounds of $keys keys"
else
  echo "sterna: redis-load BAD, $bad of $round rounds"
fi
