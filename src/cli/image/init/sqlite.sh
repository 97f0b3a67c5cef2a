# A table, an index and an aggregate over both, with an answer that is known. `sqlite_rows=N` on the kernel's command line
# changes the number of rows; then the answer is only printed.
rows=${sqlite_rows:-20000}
database=${sqlite_file:-/tmp/sterna.db}
rm -f "$database"
answer=$(sqlite3 "$database" "
  create table samples(id integer primary key, name text, value real);
  with recursive numbers(n) as (select 1 union all select n + 1 from numbers where n < $rows)
    insert into samples select n, hex(n * 7919), n / 3.0 from numbers;
  create index by_name on samples(name);
  select count(*), sum(id), round(avg(value), 3), max(name), sum(length(name)) from samples;
  select count(*) from samples where name between '31' and '32';
  pragma integrity_check;" | tr '\n' ' ')
echo "sqlite: $answer"
expected="20000|200010000|3333.5|3939393933323133|331944 8776 ok "
if [ "$rows" != 20000 ] || [ "$answer" = "$expected" ]; then
  echo "sterna: sqlite ok"
else
  echo "sterna: sqlite BAD, expected $expected"
fi
