# Adds rows to a table without rest, and forgets all but the last eight batches. Prints `load N ok` after each batch in which count, last
# row and sum are what they must be and the database is sound, or BAD with what was wrong. The line `stop` on the console ends it;
# `sqlite_batch=N` on the kernel's command line is how many rows a batch has (500).
rows=${sqlite_batch:-500}
database=${sqlite_file:-/tmp/sterna.db}
rm -f "$database" /tmp/stop
sqlite3 "$database" "create table samples(id integer primary key autoincrement, value integer);"
(while read -r word; do [ "$word" = stop ] && : >/tmp/stop; done) </dev/console 2>/dev/null &
reader=$!
echo "sterna: sqlite-load ready"

round=0
bad=0
while [ ! -e /tmp/stop ]; do
  round=$((round + 1))
  kept=$((round < 8 ? round : 8))
  expected="$((kept * rows))|$((round * rows))|$((kept * rows * (rows + 1) / 2)) ok "
  answer=$(sqlite3 "$database" "
    with recursive numbers(n) as (select 1 union all select n + 1 from numbers where n < $rows)
      insert into samples(value) select n from numbers;
    delete from samples where id <= (select max(id) from samples) - 8 * $rows;
    select count(*), max(id), sum(value) from samples;
    pragma integrity_check;" | tr '\n' ' ')
  if [ "$answer" = "$expected" ]; then
    echo "load $round ok"
  else
    bad=$((bad + 1))
    echo "load $round BAD: $answer, not $expected"
  fi
done
kill $reader 2>/dev/null
if [ $bad = 0 ]; then
  echo "sterna: sqlite-load ok, $round batches"
else
  echo "sterna: sqlite-load BAD, $bad of $round batches"
fi
