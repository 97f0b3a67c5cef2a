// The serial line, the end of a run, and what the compiler calls by itself.
#include "guest.h"

volatile u64 rounds;

enum { UART_DATA = 0, UART_LINE_STATUS = 5, DATA_READY = 1, TRANSMITTER_EMPTY = 0x20 };

static void put_byte(char byte) {
  while ((read8(UART + UART_LINE_STATUS) & TRANSMITTER_EMPTY) == 0) {
  }
  write8(UART + UART_DATA, byte);
}

void put(const char *text) {
  while (*text) put_byte(*text++);
}

void put_number(u64 number) {
  char digits[21];
  int at = sizeof digits - 1;
  digits[at] = 0;
  do digits[--at] = '0' + number % 10;
  while (number /= 10);
  put(digits + at);
}

int take(void) {
  if ((read8(UART + UART_LINE_STATUS) & DATA_READY) == 0) return -1;
  return read8(UART + UART_DATA);
}

void await_host(void) {
  put("ready\n");
  while (take() < 0) {
  }
}

static _Noreturn void finish(u32 word) {
  write32(FINISHER, word);
  for (;;) wait_for_interrupt();
}

_Noreturn void pass(void) {
  put("pass\n");
  finish(0x5555);
}

_Noreturn void fail(const char *file, u32 code, u64 value) {
  put("fail ");
  put(file);
  put(" ");
  put_number(code);
  put(" ");
  put_number(value);
  put("\n");
  finish(0x3333 | code << 16);
}

__attribute__((weak)) void trap(struct frame *frame, u64 cause, u64 value) {
  (void)value;
  fail("trap", 1000 + (cause & 0xff), frame->pc);
}

u64 random_number(void) {
  static u64 state = 88172645463325252ul;
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  return state;
}

void *memset(void *target, int value, u64 bytes) {
  u8 *at = target;
  while (bytes--) *at++ = value;
  return target;
}

void *memcpy(void *restrict target, const void *restrict from, u64 bytes) {
  u8 *at = target;
  const u8 *next = from;
  while (bytes--) *at++ = *next++;
  return target;
}
