// Reads and writes memory as benchmarks do: in order, at random, along a list, and in copies.
#include "guest.h"

enum { WORDS = 1 << 18, LINKS = 1 << 15 };
static u64 words[WORDS];
static u64 twin[WORDS];
struct link { struct link *next; u64 number; };
static struct link links[LINKS];

static void tell(const char *what, u64 from) {
  put(what);
  put(" ");
  put_number(now() - from);
  put(" ticks\n");
}

int main(void) {
  u64 from = now(), sum = 0;
  for (u64 pass_number = 0; pass_number < 4; pass_number++) {
    for (u64 i = 0; i < WORDS; i++) words[i] = i ^ pass_number;
    for (u64 i = 0; i < WORDS; i++) sum += words[i] ^ pass_number;
  }
  check_equal(sum, 4ul * WORDS * (WORDS - 1) / 2);
  tell("in order", from);
  from = now();
  u64 added = 0, before = 0, after = 0;
  for (u64 i = 0; i < WORDS; i++) before += words[i];
  for (u64 i = 0; i < 500000; i++) {
    u64 chance = random_number();
    words[chance % WORDS] += chance;
    added += chance;
  }
  for (u64 i = 0; i < WORDS; i++) after += words[i];
  check_equal(after, before + added);
  tell("at random", from);
  from = now();
  for (u64 i = 0; i < LINKS; i++) {
    links[i].next = &links[(i * 7919 + 13) % LINKS];
    links[i].number = i;
  }
  struct link *at = links;
  sum = 0;
  for (u64 i = 0; i < 4ul * LINKS; i++, at = at->next) sum += at->number;
  check(sum > 0);
  tell("along a list", from);
  from = now();
  for (u64 i = 0; i < WORDS; i++) twin[i] = words[i];
  for (u64 i = 0; i < WORDS; i++) check_equal(twin[i], words[i]);
  // Misaligned, over the ends of words and pages.
  for (u64 at_byte = 1; at_byte < sizeof twin - 16; at_byte += 509) {
    volatile u64 *place = (u64 *)((u8 *)twin + at_byte);
    u64 old = *place;
    *place = ~old;
    check_equal(*place, ~old);
    *place = old;
  }
  for (u64 i = 0; i < WORDS; i++) check_equal(twin[i], words[i]);
  tell("copies", from);
  return 0;
}
