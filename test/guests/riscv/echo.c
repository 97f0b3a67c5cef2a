// Sends back what comes on the serial line, in capitals, by interrupts; ends with a full stop.
#include "guest.h"

enum { EXTERNAL = 1 << 11, CLAIM = 0x200004 };
static volatile int is_over;

static void answer(int byte) {
  char text[2] = {byte >= 'a' && byte <= 'z' ? byte - 32 : byte, 0};
  put(text);
  rounds++;
  if (byte == '.') is_over = 1;
}

void trap(struct frame *frame, u64 cause, u64 value) {
  (void)frame;
  (void)value;
  check_equal(cause, 1ul << 63 | 11);
  u32 line = read32(PLIC + CLAIM);
  check_equal(line, UART_IRQ);
  for (int byte; (byte = take()) >= 0;) answer(byte);
  write32(PLIC + CLAIM, line);
}

int main(void) {
  // FIFO, then received data.
  write8(UART + 2, 1);
  write8(UART + 1, 1);
  write32(PLIC + 4 * UART_IRQ, 1);
  write32(PLIC + 0x2000, 1 << UART_IRQ);
  csr_set(mie, EXTERNAL);
  put("ready\n");
  csr_set(mstatus, 8);
  while (!is_over) wait_for_interrupt();
  return 0;
}
