// Waits for interrupts. CASE 0: for a timer, five times. CASE 1: for the serial line, beside a timer
// that is over and does not interrupt.
#include "guest.h"

enum { TIMER = 1 << 5, EXTERNAL = 1 << 11, TICKS = 500000 };

static void await_timer(void) {
  csr_set(mie, TIMER);
  for (rounds = 0; rounds < 5; rounds++) {
    u64 deadline = now() + TICKS;
    csr_write_number(STIMECMP, deadline);
    do wait_for_interrupt();
    while (now() < deadline);
  }
}

static void await_serial_line(void) {
  csr_write_number(STIMECMP, now());
  // Received data, by line 10 of the interrupt controller to this hart's machine mode.
  write8(UART + 1, 1);
  write32(PLIC + 4 * UART_IRQ, 1);
  write32(PLIC + 0x2000, 1 << UART_IRQ);
  csr_set(mie, EXTERNAL);
  put("ready\n");
  rounds = 1;
  while (take() < 0) wait_for_interrupt();
}

int main(void) {
  // Sstc.
  csr_write_number(MENVCFG, 1ul << 63);
  if (CASE == 0) await_timer();
  else await_serial_line();
  return 0;
}
