// The clock of the wall: says what it is, sets it ahead, and says it again when somebody has typed.
// CASE 0: between the two an alarm, for which it waits. CASE 1: none.
#include "guest.h"

enum { EXTERNAL = 1 << 11, RTC_IRQ = 11, ALARM_NS = 20000000 };
#define RTC 0x00101000ul
#define CLAIM (PLIC + 0x200004)
/// Half a year, more or less.
#define AHEAD_NS 16000000000000000ul

static u64 read_clock(void) {
  u64 low = read32(RTC);
  return (u64)read32(RTC + 4) << 32 | low;
}

static void write_time(u64 reg, u64 value) {
  write32(reg + 4, value >> 32);
  write32(reg, value);
}

static void await_alarm(void) {
  write32(PLIC + 4 * RTC_IRQ, 1);
  write32(PLIC + 0x2000, 1 << RTC_IRQ);
  csr_set(mie, EXTERNAL);
  u64 alarm = read_clock() + ALARM_NS;
  write_time(RTC + 8, alarm);
  write32(RTC + 0x10, 1);
  u32 claimed;
  while ((claimed = read32(CLAIM)) == 0) wait_for_interrupt();
  check_equal(claimed, RTC_IRQ);
  check(read_clock() >= alarm);
  check_equal(read32(RTC + 0x18), 0);
  write32(RTC + 0x1c, 1);
  write32(CLAIM, RTC_IRQ);
  check_equal(read32(CLAIM), 0);
}

static void say(const char *what) {
  put(what);
  put_number(read_clock());
  put("\n");
}

int main(void) {
  say("at ");
  write_time(RTC, read_clock() + AHEAD_NS);
  if (CASE == 0) await_alarm();
  await_host();
  say("then ");
  return 0;
}
