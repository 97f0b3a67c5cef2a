# Every program that the other scripts use, once; then a console. `self_test_end=1` on the kernel's command line ends the guest
# instead.
. /sterna/init/sqlite
redis_rounds=3
. /sterna/init/redis-load
echo "sterna: self-test done"
[ -n "$self_test_end" ] || . /sterna/init/console
