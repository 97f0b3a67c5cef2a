# Starts redis-server and runs the real redis-benchmark against it, again whenever it is through. Each round has as many increments, pushes
# and pops as there are requests: prints `load N ok` when counter, list and value are what they must be then, or BAD with what was
# wrong. The line `stop` on the console ends it. Settings on the kernel's command line: benchmark_requests (500) of each
# command a round, benchmark_clients (8), benchmark_bytes (256) of a value.
requests=${benchmark_requests:-500}
clients=${benchmark_clients:-8}
bytes=${benchmark_bytes:-256}

redis-server --port 6379 --bind 127.0.0.1 --save '' --appendonly no --dir /tmp --logfile /tmp/redis.log --daemonize yes >/dev/null
tries=0
until [ "$(redis-cli ping 2>/dev/null)" = PONG ]; do
  tries=$((tries + 1))
  if [ $tries -gt 600 ]; then
    echo "sterna: redis-benchmark BAD, redis-server does not answer"
    tail -n 3 /tmp/redis.log
    break
  fi
  sleep 0.1
done
redis-cli flushall >/dev/null

rm -f /tmp/stop
(while read -r word; do [ "$word" = stop ] && : >/tmp/stop; done) </dev/console 2>/dev/null &
reader=$!
echo "sterna: redis-benchmark ready"

round=0
bad=0
while [ ! -e /tmp/stop ]; do
  round=$((round + 1))
  redis-benchmark -t set,get,incr,lpush,rpop -n "$requests" -c "$clients" -d "$bytes" --csv >/tmp/benchmark.csv 2>&1
  status=$?
  # Without -r it has one key of each kind, named as its own template.
  answer=$(redis-cli <<END | tr -d '\r' | tr '\n' ' '
get counter:__rand_int__
llen mylist
strlen key:__rand_int__
END
  )
  answer="$status $(grep -c '^"[A-Z]*","[0-9.]*"' /tmp/benchmark.csv) $answer"
  expected="0 5 $((round * requests)) 0 $bytes "
  if [ "$answer" = "$expected" ]; then
    echo "load $round ok"
  else
    bad=$((bad + 1))
    echo "load $round BAD: $answer, not $expected: $(tail -n 1 /tmp/benchmark.csv)"
  fi
done
kill $reader 2>/dev/null
redis-cli shutdown nosave 2>/dev/null
if [ $bad = 0 ]; then
  echo "sterna: redis-benchmark ok, $round rounds of $requests requests"
else
  echo "sterna: redis-benchmark BAD, $bad of $round rounds"
fi
