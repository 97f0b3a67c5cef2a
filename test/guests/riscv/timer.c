// Works between interrupts of its timer and waits for some of them, so that whatever changes the
// moment of an interrupt changes its memory. It never ends.
#include "guest.h"

enum { TIMER = 1 << 5, LOG = 1 << 12, CELLS = 1 << 18 };
static volatile u64 log_entries[LOG];
/// So many that pages are missed at any moment.
static volatile u64 cells[CELLS];
static volatile u64 interrupts, work;

void trap(struct frame *frame, u64 cause, u64 value) {
  (void)value;
  check_equal(cause, 1ul << 63 | 5);
  // Where it was, how far, and when.
  log_entries[interrupts++ % LOG] = frame->pc ^ work << 20 ^ now() << 40;
  csr_write_number(STIMECMP, now() + 500 + random_number() % 3000);
}

int main(void) {
  csr_write_number(MENVCFG, 1ul << 63);
  csr_write_number(STIMECMP, now() + 1000);
  csr_set(mie, TIMER);
  csr_set(mstatus, 8);
  for (;;) {
    u64 seen = interrupts;
    for (u64 i = 0; i < 5000; i++) {
      work += i ^ work >> 3;
      if (i % 512 == 0) cells[random_number() % CELLS] += work;
    }
    if (rounds++ % 4 == 0)
      while (interrupts == seen) wait_for_interrupt();
  }
}
