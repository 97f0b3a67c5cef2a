// Tortures Sv39: two address spaces whose pages are mapped anew all the time, with all permissions
// and sizes, and are looked at from supervisor and user mode. What must happen is computed from a
// plain copy of the mappings: data, faults, accessed and dirty bits.
// It works until somebody types.
#include "guest.h"

enum { V = 1, R = 2, W = 4, X = 8, U = 16, G = 32, A = 64, D = 128 };
enum { LARGE = 2, SMALL = 64, LARGE_PAGES = 512, PAGES = LARGE * LARGE_PAGES + SMALL };
enum { SPACES = 2, SLOTS = SMALL + LARGE, TURNS = 64 };
enum access { LOAD, STORE, MODIFY, CALL };

/// A physical page says which one it is: by its instructions, its counter and its number.
struct page {
  u32 code[2];
  u64 counter;
  u64 number;
  u64 rest[PAGE_BYTES / 8 - 3];
};
static struct page pages[PAGES] __attribute__((aligned(1 << 21)));
static u64 counters[PAGES];

/// Root, middle and leaf table of each address space.
static u64 tables[SPACES][3][512] __attribute__((aligned(PAGE_BYTES)));
/// What each slot maps: its entry as it must be, without a virtual address.
static u64 entries[SPACES][SLOTS];

struct outcome { u64 value, cause, address; };
void probe(struct outcome *outcome, u64 stub, u64 address, u64 value);
extern char stub_load[], stub_store[], stub_modify[], stub_call[];

/// Where both spaces have what moves; RAM is at itself for supervisors, and 1 GiB above for users.
#define WINDOW 0x40000000ul
#define GIB 0x40000000ul

static u64 address_of(u32 slot, u64 inside) {
  if (slot < SMALL) return WINDOW + slot * PAGE_BYTES + inside;
  return WINDOW + (slot - SMALL + 1) * (1ul << 21) + inside;
}

static u64 *entry_of(u32 space, u32 slot) {
  return slot < SMALL ? &tables[space][2][slot] : &tables[space][1][slot - SMALL + 1];
}

static u64 pointer_to(const void *target) { return (u64)target >> 12 << 10; }

static u32 page_index(u64 entry) {
  return ((entry >> 10 << 12) - (u64)pages) / PAGE_BYTES;
}

static void fence(u32 space, u64 address, u32 kind) {
  u64 id = space + 1;
  if (kind == 0) asm volatile("sfence.vma" ::: "memory");
  else if (kind == 1) asm volatile("sfence.vma %0" ::"r"(address) : "memory");
  else if (kind == 2) asm volatile("sfence.vma zero, %0" ::"r"(id) : "memory");
  else asm volatile("sfence.vma %0, %1" ::"r"(address), "r"(id) : "memory");
}

static void enter(u32 space) {
  csr_write(satp, 8ul << 60 | (u64)(space + 1) << 44 | (u64)tables[space][0] >> 12);
  // Where there are no numbers of address spaces, they share what was translated.
  if ((csr_read(satp) >> 44 & 0xffff) == 0) fence(0, 0, 0);
}

static void map(u32 space, u32 slot, u64 chance) {
  u64 flags = chance & (V | R | W | X | U | A | D);
  // Most of them are valid, or nothing would be seen.
  if (chance >> 8 & 7) flags |= V | R;
  // An entry that points on is no leaf.
  if ((flags & (R | W | X)) == 0) flags &= ~(u64)V;
  u64 target;
  if (slot < SMALL) target = pointer_to(&pages[(chance >> 16) % PAGES]);
  else {
    target = pointer_to(&pages[(chance >> 16) % LARGE * LARGE_PAGES]);
    // Now and then one that is not aligned to its size.
    if ((chance >> 24 & 15) == 0) target += 1 << 10;
  }
  entries[space][slot] = target | flags;
  *entry_of(space, slot) = target | flags;
  fence(space, address_of(slot, 0), chance >> 32 & 3);
}

static int is_allowed(u64 entry, u32 slot, enum access access, int user, int sum, int mxr) {
  if ((entry & V) == 0 || ((entry & W) && (entry & R) == 0)) return 0;
  if (user && (entry & U) == 0) return 0;
  if (!user && (entry & U) && (access == CALL || !sum)) return 0;
  if (access == CALL && (entry & X) == 0) return 0;
  if (access == LOAD && (entry & R) == 0 && !(mxr && (entry & X))) return 0;
  if ((access == STORE || access == MODIFY) && (entry & W) == 0) return 0;
  return slot < SMALL || (entry >> 10 & 511) == 0;
}

static void look(u32 space, u64 chance) {
  u32 slot = chance % SLOTS;
  u64 entry = entries[space][slot];
  int user = chance >> 8 & 1, sum = chance >> 9 & 1, mxr = chance >> 10 & 1;
  enum access access = chance >> 11 & 3;
  u32 inside = slot < SMALL ? 0 : chance >> 16 & (LARGE_PAGES - 1);
  u64 value = chance >> 32;
  char *const stubs[] = {stub_load, stub_store, stub_modify, stub_call};
  const u64 causes[] = {13, 15, 15, 12};
  u64 at = address_of(slot, (u64)inside * PAGE_BYTES + (access == CALL ? 0 : 8));
  csr_clear(mstatus, 3 << 11 | 1 << 18 | 1 << 19);
  csr_set(mstatus, (user ? 0 : 1) << 11 | sum << 18 | mxr << 19);
  struct outcome outcome;
  probe(&outcome, (u64)stubs[access] + (user ? GIB : 0), at, value);
  if (!is_allowed(entry, slot, access, user, sum, mxr)) {
    check_equal(outcome.cause, causes[access]);
    check_equal(outcome.address, at);
  } else {
    check_equal(outcome.cause, user ? 8 : 9);
    u32 page = page_index(entry) + inside;
    if (access == CALL) check_equal(outcome.value, page);
    else if (access != STORE) check_equal(outcome.value, counters[page]);
    if (access == STORE) counters[page] = value;
    if (access == MODIFY) counters[page] += value;
    entries[space][slot] |= access == STORE || access == MODIFY ? A | D : A;
    check_equal(pages[page].counter, counters[page]);
  }
  check_equal(*entry_of(space, slot), entries[space][slot]);
}

static void check_all(void) {
  for (u32 page = 0; page < PAGES; page++) {
    check_equal(pages[page].counter, counters[page]);
    check_equal(pages[page].number, page);
  }
  for (u32 space = 0; space < SPACES; space++)
    for (u32 slot = 0; slot < SLOTS; slot++) check_equal(*entry_of(space, slot), entries[space][slot]);
}

static void furnish(void) {
  for (u32 page = 0; page < PAGES; page++) {
    // addi a0, zero, page; ret
    pages[page].code[0] = page << 20 | 10 << 7 | 0x13;
    pages[page].code[1] = 0x00008067;
    pages[page].number = page;
  }
  fence_i();
  for (u32 space = 0; space < SPACES; space++) {
    u64 *root = tables[space][0];
    root[WINDOW / GIB] = pointer_to(tables[space][1]) | V;
    tables[space][1][0] = pointer_to(tables[space][2]) | V;
    u64 ram = pointer_to((void *)0x80000000ul) | V | R | W | X | G | A | D;
    root[2] = ram;
    root[3] = ram | U;
  }
}

int main(void) {
  // All memory is open to the lower modes.
  csr_write(pmpaddr0, ~0ul >> 10);
  csr_write(pmpcfg0, 0x1f);
  furnish();
  u32 space = 0;
  enter(space);
  while (take() < 0) {
    for (u32 turn = 0; turn < TURNS; turn++) {
      u64 chance = random_number();
      if ((chance >> 60) == 0) enter(space ^= 1);
      if ((chance >> 56 & 3) == 0) map(chance >> 55 & 1, chance >> 44 & 63, random_number());
      if ((chance >> 58 & 3) == 0) map(space, SMALL + (chance >> 40) % LARGE, random_number());
      look(space, random_number());
    }
    if (++rounds % 64 == 0) check_all();
    if (rounds % 512 == 0) {
      put("walks ");
      put_number(rounds);
      put("\n");
    }
  }
  check_all();
  return 0;
}
