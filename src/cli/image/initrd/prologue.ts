import type { InitScript } from './init-scripts.ts';
import type { KernelModule } from './kernel-modules.ts';

/** Where the scripts lie in a guest. */
export const SCRIPTS_DIRECTORY = 'sterna/init';

/**
 * `/init`: what every script may count on. It goes on as the script itself, in the same process:
 * Linux stops with a panic when that ends, so its end is a power-off.
 *
 * `sterna_init=NAME` on the kernel's command line, which Linux hands to init as a variable, chooses
 * another of the scripts.
 */
export function prologue(
  kernelVersion: string,
  modules: readonly KernelModule[],
  chosen: InitScript,
): string {
  const paths = modules.map(({ path }) => path).join(' ');
  return `#!/bin/busybox sh
# Made by sterna image.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TERM=\${TERM:-vt100}
# Programs of packages are there already, and stay.
/bin/busybox --install -s 2>/dev/null
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev 2>/dev/null
mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
mount -t tmpfs tmpfs /dev/shm
for module in ${paths}; do
  insmod "/lib/modules/${kernelVersion}/$module" || echo "sterna: $module was not loaded"
done
for device in /sys/bus/virtio/devices/*/modalias; do
  [ -e "$device" ] || continue
  modprobe -q "$(cat "$device")" || echo "sterna: no driver for $device"
done
ifconfig lo 127.0.0.1 up
hostname sterna
name=\${sterna_init:-${chosen.name}}
if [ ! -f "/${SCRIPTS_DIRECTORY}/$name" ]; then
  echo "sterna: no init script $name; there are:" $(ls /${SCRIPTS_DIRECTORY})
  name=${chosen.name}
fi
echo "sterna: init $name"
case $(head -n 1 "/${SCRIPTS_DIRECTORY}/$name") in
  '#!/bin/sh'* | '#!/bin/busybox sh'* | [!#]* | '' | '#'[!!]*) ;;
  *) exec "/${SCRIPTS_DIRECTORY}/$name" ;;
esac
trap 'status=$?; echo "sterna: init $name ended with $status"; sync; poweroff -f' EXIT
. "/${SCRIPTS_DIRECTORY}/$name"
`;
}
