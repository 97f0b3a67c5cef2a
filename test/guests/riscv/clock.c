// Reads the time as fast as it can, until somebody types: it never goes back, and the longest step
// is kept in RAM for the test.
#include "guest.h"

volatile u64 longest_step;

int main(void) {
  u64 last = now();
  while (take() < 0)
    for (u32 i = 0; i < 1000; i++) {
      u64 next = now();
      if (next < last) fail(__FILE__, __LINE__, last - next);
      if (next - last > longest_step) longest_step = next - last;
      last = next;
      rounds++;
    }
  return 0;
}
