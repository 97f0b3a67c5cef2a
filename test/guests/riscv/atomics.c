// LR, SC and every AMO over many pages, against plain arithmetic.
#include "guest.h"

enum { CELLS = 64, STRIDE = PAGE_BYTES / 8, OPERATIONS = 200000 };
static u64 cells[CELLS * STRIDE] __attribute__((aligned(PAGE_BYTES)));
static u64 expected[CELLS];

enum kind { SWAP, ADD, XOR, AND, OR, MIN, MAX, MINU, MAXU, KINDS };

#define AMO(name, width) \
  asm volatile(name width " %0, %2, (%1)" : "=r"(old) : "r"(at), "r"(operand) : "memory")

static u64 modify64(enum kind kind, volatile u64 *at, u64 operand) {
  u64 old;
  switch (kind) {
    case SWAP: AMO("amoswap", ".d"); break;
    case ADD: AMO("amoadd", ".d.aq"); break;
    case XOR: AMO("amoxor", ".d.rl"); break;
    case AND: AMO("amoand", ".d"); break;
    case OR: AMO("amoor", ".d"); break;
    case MIN: AMO("amomin", ".d"); break;
    case MAX: AMO("amomax", ".d.aqrl"); break;
    case MINU: AMO("amominu", ".d"); break;
    default: AMO("amomaxu", ".d");
  }
  return old;
}

static u64 modify32(enum kind kind, volatile u32 *at, u64 operand) {
  u64 old;
  switch (kind) {
    case SWAP: AMO("amoswap", ".w"); break;
    case ADD: AMO("amoadd", ".w"); break;
    case XOR: AMO("amoxor", ".w"); break;
    case AND: AMO("amoand", ".w"); break;
    case OR: AMO("amoor", ".w"); break;
    case MIN: AMO("amomin", ".w"); break;
    case MAX: AMO("amomax", ".w"); break;
    case MINU: AMO("amominu", ".w"); break;
    default: AMO("amomaxu", ".w");
  }
  return old;
}

static u64 plain64(enum kind kind, u64 old, u64 operand) {
  switch (kind) {
    case SWAP: return operand;
    case ADD: return old + operand;
    case XOR: return old ^ operand;
    case AND: return old & operand;
    case OR: return old | operand;
    case MIN: return (i64)old < (i64)operand ? old : operand;
    case MAX: return (i64)old > (i64)operand ? old : operand;
    case MINU: return old < operand ? old : operand;
    default: return old > operand ? old : operand;
  }
}

static u32 plain32(enum kind kind, u32 old, u32 operand) {
  switch (kind) {
    case MIN: return (i32)old < (i32)operand ? old : operand;
    case MAX: return (i32)old > (i32)operand ? old : operand;
    default: return plain64(kind, old, operand);
  }
}

static u64 load_reserved(volatile u64 *at) {
  u64 value;
  asm volatile("lr.d %0, (%1)" : "=r"(value) : "r"(at) : "memory");
  return value;
}

/// 0: it was stored.
static u64 store_conditional(volatile u64 *at, u64 value) {
  u64 failed;
  asm volatile("sc.d %0, %2, (%1)" : "=&r"(failed) : "r"(at), "r"(value) : "memory");
  return failed;
}

static void add_by_reservation(volatile u64 *at, u64 number) {
  u64 old;
  do old = load_reserved(at);
  while (store_conditional(at, old + number));
}

static void check_reservations(volatile u64 *at, volatile u64 *other) {
  u64 old = load_reserved(at);
  check_equal(store_conditional(at, old), 0);
  // One SC for each LR.
  check(store_conditional(at, old + 1) != 0);
  load_reserved(at);
  check(store_conditional(other, 7) != 0);
  check(store_conditional(at, old + 1) != 0);
  check_equal(*at, old);
}

int main(void) {
  for (u32 turn = 0; turn < OPERATIONS; turn++) {
    u64 chance = random_number(), operand = random_number();
    u32 cell = chance % CELLS;
    enum kind kind = chance >> 8 & 15;
    volatile u64 *at = &cells[cell * STRIDE + cell * 5];
    if (kind < KINDS && (chance >> 16 & 1)) {
      check_equal(modify64(kind, at, operand), expected[cell]);
      expected[cell] = plain64(kind, expected[cell], operand);
    } else if (kind < KINDS) {
      u32 high = chance >> 17 & 1;
      volatile u32 *half = (volatile u32 *)at + high;
      u32 old = expected[cell] >> (32 * high);
      check_equal(modify32(kind, half, operand), (i64)(i32)old);
      u64 next = plain32(kind, old, operand);
      expected[cell] = (expected[cell] & ~(0xfffffffful << (32 * high))) | next << (32 * high);
    } else if (kind < 14) {
      add_by_reservation(at, operand);
      expected[cell] += operand;
    } else {
      u32 other = (cell + 1) % CELLS;
      check_reservations(at, &cells[other * STRIDE + other * 5]);
    }
    check_equal(*at, expected[cell]);
    rounds = turn;
  }
  for (u32 cell = 0; cell < CELLS; cell++) check_equal(cells[cell * STRIDE + cell * 5], expected[cell]);
  return 0;
}
