// Ends at once. CASE 0: powers off, 1: resets, 2: fails with 7, 3: powers off by the firmware.
#include "guest.h"

int main(void) {
  if (CASE == 1) write32(FINISHER, 0x7777);
  if (CASE == 2) write32(FINISHER, 7 << 16 | 0x3333);
  if (CASE == 3) {
    register u64 a0 asm("a0") = 0;
    register u64 a1 asm("a1") = 0;
    register u64 a6 asm("a6") = 0;
    register u64 a7 asm("a7") = 0x53525354;
    asm volatile("ecall" : "+r"(a0), "+r"(a1) : "r"(a6), "r"(a7) : "memory");
  }
  if (CASE == 0) write32(FINISHER, 0x5555);
  // Nothing happens behind it.
  rounds = 1;
  for (;;) rounds++;
}
