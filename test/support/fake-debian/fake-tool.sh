#!/bin/sh
# One of the programs of a Debian host that an image is made with, as far as `sterna image` uses it. Beside its directory
# lies the world that it plays on, as FakeDebian writes it: `pool` (a fake .deb is its tar), for each package its line of
# --print-uris alone (`uri`) and with all that it needs (`closure`) and what `apt-cache show` says of it (`show`), and
# the complaints with which a command fails.
PATH=/usr/bin:/bin
name=${0##*/}
bin=${0%/*}
root=${bin%/*}
world=$root/world
echo "$name $*" >>"$root/calls.log"

verb=
names=
plan=
after=
for word; do
  case $word in
    shell | dump | update | install | download | show | --fsys-tarfile | -dc) verb=${verb:-$word} ;;
    --print-uris) plan=yes ;;
    --) after=yes ;;
    *) [ -z "$after" ] || names="$names ${word%%=*}" ;;
  esac
done

setting() { sed -n "s|^$1 \"\(.*\)\";\$|\1|p" "$APT_CONFIG"; }
fail() {
  echo "$1" >&2
  exit 100
}
fail_if() {
  [ ! -e "$world/errors/$1" ] || fail "$(cat "$world/errors/$1")"
}
check_names() {
  [ -e "$(setting Dir::State::lists)/Packages" ] || fail 'E: No packages found'
  for one in $names; do [ -e "$world/uri/$one" ] || fail "E: Unable to locate package $one"; done
}

case "$name $verb" in
  'apt-config shell' | 'apt-config dump') cat "$world/$verb" ;;
  'apt-get update')
    fail_if update
    # Sleeps as long as it is let.
    [ ! -e "$world/hangs" ] || exec sleep 600
    : >"$(setting Dir::State::lists)/Packages"
    ;;
  'apt-get install')
    fail_if install
    check_names
    echo 'Reading package lists...'
    for one in $names; do cat "$world/closure/$one"; done | sort -ru
    ;;
  'apt-get download')
    check_names
    if [ -n "$plan" ]; then
      for one in $names; do cat "$world/uri/$one"; done
    else
      fail_if download
      for one in $names; do cp "$world/pool/$one"/*.deb .; done
      printf 'dlstatus:1:50.0:Retrieving\nother:line\ndlstatus:2:100:Retrieving\n' >&3
    fi
    ;;
  'apt-cache show')
    check_names
    for one in $names; do cat "$world/show/$one"; done
    ;;
  'dpkg-deb --fsys-tarfile') cat "$2" ;;
  'xz -dc')
    # "Compressed" is: with a mark before it.
    [ "$(dd bs=1 count=2 2>/dev/null)" = xz ] || fail 'xz: File format not recognized'
    cat
    ;;
  *) fail "No such command: $name $*" ;;
esac
