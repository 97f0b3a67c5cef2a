// Writes its own instructions: functions that are made anew and fenced, functions in pages that
// data is written to all the time, and one whose instructions cross from page to page.
// It works until somebody types.
#include "guest.h"

enum { PAGES = 64, WORDS = PAGE_BYTES / 4, TURNS = 64 };
static u32 code[PAGES][WORDS] __attribute__((aligned(PAGE_BYTES)));
static u32 functions[PAGES];
static u32 data[PAGES];

enum { RET = 0x00008067 };

/// addi a0, a0, number; of 12 bits.
static u32 add(u32 number) { return number << 20 | 10 << 15 | 10 << 7 | 0x13; }
/// xori a0, a0, number
static u32 exclusive(u32 number) { return number << 20 | 10 << 15 | 4 << 12 | 10 << 7 | 0x13; }
/// slli a0, a0, 1
static u32 twice(void) { return 1 << 20 | 10 << 15 | 1 << 12 | 10 << 7 | 0x13; }

static u64 call(void *function, u64 argument) {
  return ((u64 (*)(u64))function)(argument);
}

/// The function of a page says, of x, ((x + number) ^ number) * 2.
static void make(u32 page, u32 number) {
  u32 *at = code[page];
  at[0] = add(number);
  at[1] = exclusive(number);
  at[2] = twice();
  at[3] = RET;
  functions[page] = number;
}

static void check_page(u32 page) {
  u32 number = functions[page];
  u64 argument = random_number() >> 8;
  check_equal(call(code[page], argument), ((argument + number) ^ number) * 2);
  check_equal(code[page][WORDS - 8], data[page]);
}

/// Compressed instructions shift all that follows by two bytes, so that one lies in two pages.
static void cross(u32 page, u32 number) {
  u8 *at = (u8 *)code[page] + PAGE_BYTES - 6;
  u32 instruction = add(number);
  // c.nop, twice.
  at[0] = 1; at[1] = 0; at[2] = 1; at[3] = 0;
  *(volatile u16 *)(at + 4) = instruction;
  *(volatile u16 *)(at + 6) = instruction >> 16;
  u32 kept[2] = {code[page + 1][0], code[page + 1][1]};
  *(volatile u16 *)(at + 8) = RET & 0xffff;
  *(volatile u16 *)(at + 10) = RET >> 16;
  fence_i();
  check_equal(call(at, 5), 5 + number);
  // Only the second half changes.
  *(volatile u16 *)(at + 6) = add(number ^ 1) >> 16;
  fence_i();
  check_equal(call(at, 5), 5 + (number ^ 1));
  code[page + 1][0] = kept[0];
  code[page + 1][1] = kept[1];
  // The next function is at the page's start again.
  make(page + 1, functions[page + 1]);
  fence_i();
}

int main(void) {
  for (u32 page = 0; page < PAGES; page++) make(page, page);
  fence_i();
  while (take() < 0) {
    for (u32 turn = 0; turn < TURNS; turn++) {
      u64 chance = random_number();
      u32 page = chance % PAGES;
      switch (chance >> 32 & 3) {
        case 0:
          make(page, chance >> 50 & 0x7ff);
          fence_i();
          break;
        case 1:
          // Data in a page of code: no fence, its instructions are the same.
          code[page][WORDS - 8] = data[page] = (u32)(chance >> 16);
          break;
        case 2:
          if (page + 1 < PAGES) cross(page, chance >> 50 & 0x3ff);
          break;
        default:
          // Several pages, one fence.
          for (u32 each = 0; each < 8; each++) make((page + each * 5) % PAGES, chance >> (40 + each) & 0x7ff);
          fence_i();
      }
      check_page(page);
      check_page((page + 7) % PAGES);
    }
    if (++rounds % 256 == 0) {
      put("code ");
      put_number(rounds);
      put("\n");
    }
  }
  for (u32 page = 0; page < PAGES; page++) check_page(page);
  return 0;
}
