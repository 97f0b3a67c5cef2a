// One access to a page that tests take away while the guest waits for its host. Each case says by
// what it ends that the access happened once and whole. The pages are `first_page` and
// `second_page`, which follows it.
#include "virtio.h"

enum {
  FETCH = 0, CROSSING_FETCH = 1, WALK = 2, AMO = 3, LR = 4, SC = 5, CROSSING_LOAD = 6,
  CROSSING_STORE = 7, DISK_READ = 8, RANDOM = 9, CONSOLE_WRITE = 10, CONSOLE_READ = 11, QUEUE = 12,
  DISK_WRITE = 13
};

IN_PAGE("missing") volatile u64 first_page[2 * PAGE_BYTES / 8];
static volatile u64 *const second_page = &first_page[PAGE_BYTES / 8];

/// li a0, 42; ret
static const u16 forty_two[] = {0x0513, 0x02a0, 0x8082};
#define PATTERN 0x1122334455667788ul

static void place(volatile u16 *at) {
  for (u32 i = 0; i < 3; i++) at[i] = forty_two[i];
  fence_i();
}

static u64 call(volatile void *function) { return ((u64 (*)(void))function)(); }

static void fetch(volatile u16 *at) {
  place(at);
  await_host();
  check_equal(call(at), 42);
}

#if CASE == 2
/// Two of its levels are in the pages: root and leaf; what is between them stays.
static u64 middle[512] __attribute__((aligned(PAGE_BYTES)));
static u64 target[512] __attribute__((aligned(PAGE_BYTES)));

static u64 pointer_to(volatile void *page) { return (u64)page >> 12 << 10; }

/// The loads and stores of supervisor mode, done for it by machine mode (MPRV).
static void walk(void) {
  csr_write(pmpaddr0, ~0ul >> 10);
  csr_write(pmpcfg0, 0x1f);
  first_page[1] = pointer_to(middle) | 1;
  middle[0] = pointer_to(second_page) | 1;
  second_page[3] = pointer_to(target) | 7;
  target[5] = PATTERN;
  csr_write(satp, 8ul << 60 | (u64)first_page >> 12);
  await_host();
  u64 address = 0x40000000ul + 3 * PAGE_BYTES + 5 * 8, value, mode = 1 << 17 | 1 << 11;
  asm volatile(
      "csrs mstatus, %1\n ld %0, 0(%2)\n csrc mstatus, %3"
      : "=&r"(value) : "r"(mode), "r"(address), "r"(1 << 17) : "memory");
  check_equal(value, PATTERN);
  // Accessed, and not dirty.
  check_equal(second_page[3], pointer_to(target) | 7 | 0x40);
  asm volatile(
      "csrs mstatus, %1\n sd %0, 0(%2)\n csrc mstatus, %3"
      :: "r"(~value), "r"(mode), "r"(address), "r"(1 << 17) : "memory");
  check_equal(target[5], ~PATTERN);
  check_equal(second_page[3], pointer_to(target) | 7 | 0xc0);
}
#endif

static void modify(void) {
  first_page[9] = PATTERN;
  await_host();
  u64 old;
  asm volatile("amoadd.d %0, %1, (%2)" : "=r"(old) : "r"(5ul), "r"(&first_page[9]) : "memory");
  check_equal(old, PATTERN);
  check_equal(first_page[9], PATTERN + 5);
}

static void reserve(void) {
  u64 old, failed;
  first_page[9] = PATTERN;
  await_host();
  asm volatile("lr.d %0, (%2)\n sc.d %1, %3, (%2)"
               : "=&r"(old), "=&r"(failed) : "r"(&first_page[9]), "r"(PATTERN + 1) : "memory");
  check_equal(old, PATTERN);
  check_equal(failed, 0);
  check_equal(first_page[9], PATTERN + 1);
}

/// The reservation crosses with the guest.
static void store_reserved(void) {
  u64 old, failed;
  first_page[9] = PATTERN;
  asm volatile("lr.d %0, (%1)" : "=r"(old) : "r"(&first_page[9]) : "memory");
  await_host();
  asm volatile("sc.d %0, %1, (%2)" : "=&r"(failed) : "r"(PATTERN + 1), "r"(&first_page[9]) : "memory");
  check_equal(failed, 0);
  check_equal(first_page[9], PATTERN + 1);
}

static u64 *crossing(void) { return (u64 *)((u64)second_page - 3); }

static void load_crossing(void) {
  first_page[511] = 0x0807060504030201ul;
  second_page[0] = 0x100f0e0d0c0b0a09ul;
  await_host();
  check_equal(*(volatile u64 *)crossing(), 0x0d0c0b0a09080706ul);
}

static void store_crossing(void) {
  first_page[511] = second_page[0] = ~0ul;
  await_host();
  *(volatile u64 *)crossing() = PATTERN;
  check_equal(first_page[511], 0x667788fffffffffful);
  check_equal(second_page[0], 0xffffff1122334455ul);
}

#if CASE >= 8
static struct queue queue __attribute__((aligned(PAGE_BYTES)));
static struct { u32 type, reserved; u64 sector; } header;
static volatile u8 status;

/// Of the disk to the end of the first page and the start of the second, or the other way.
static void disk(int is_write) {
  u64 base = virtio_slot(1);
  check(virtio_start(base, 2, 0, &queue));
  volatile u64 *buffer = &first_page[512 - 64];
  // The test has filled the disk with these bytes, or finds them there.
  for (u32 i = 0; i < 128; i++) buffer[i] = is_write ? i * PATTERN : 0;
  u16 flags = is_write ? BUFFER_NEXT : BUFFER_NEXT | BUFFER_WRITE;
  header.type = is_write;
  header.sector = 2;
  status = 0xff;
  queue.descriptors[0] = (struct descriptor){(u64)&header, 16, BUFFER_NEXT, 1};
  queue.descriptors[1] = (struct descriptor){(u64)buffer, 1024, flags, 2};
  queue.descriptors[2] = (struct descriptor){(u64)&status, 1, BUFFER_WRITE, 0};
  virtio_publish(&queue);
  await_host();
  virtio_notify(base);
  check_equal(virtio_await(&queue), is_write ? 1 : 1025);
  check_equal(status, 0);
  check_equal(queue.used.index, 1);
  for (u32 i = 0; i < 128; i++) check_equal(buffer[i], i * PATTERN);
}

/// Of the random device; `queue_at` may be one of the pages.
static void random_bytes(struct queue *queue_at, volatile u64 *buffer) {
  u64 base = virtio_slot(0);
  check(virtio_start(base, 4, 0, queue_at));
  queue_at->descriptors[0] = (struct descriptor){(u64)buffer, 64, BUFFER_WRITE, 0};
  virtio_publish(queue_at);
  await_host();
  virtio_notify(base);
  // The queue may be missing: it is the device that looks at it first.
  while ((read32(base + 0x60) & 1) == 0) {
  }
  check_equal(virtio_await(queue_at), 64);
  check_equal(queue_at->used.index, 1);
  u64 bits = 0;
  for (u32 i = 0; i < 8; i++) bits |= buffer[i];
  check(bits != 0);
  check_equal(buffer[8], 0);
}

/// DBCN: a0 and a1 are what it answers.
static u64 console(u64 function, u64 bytes, volatile void *at) {
  register u64 a0 asm("a0") = bytes;
  register u64 a1 asm("a1") = (u64)at;
  register u64 a2 asm("a2") = 0;
  register u64 a6 asm("a6") = function;
  register u64 a7 asm("a7") = 0x4442434e;
  asm volatile("ecall" : "+r"(a0), "+r"(a1) : "r"(a2), "r"(a6), "r"(a7) : "memory");
  check_equal(a0, 0);
  return a1;
}

static void console_write(void) {
  const char *text = "over the end of a page\n";
  volatile u8 *at = (volatile u8 *)second_page - 10;
  for (u32 i = 0; i < 23; i++) at[i] = text[i];
  await_host();
  check_equal(console(0, 23, at), 23);
}

static void console_read(void) {
  volatile u8 *at = (volatile u8 *)second_page - 1;
  put("ready\n");
  u64 count;
  while ((count = console(1, 2, at)) == 0) {
  }
  check_equal(at[0], 'g');
  check_equal(count, 1);
}
#endif

int main(void) {
  switch (CASE) {
    case FETCH: fetch((volatile u16 *)first_page + 8); break;
    case CROSSING_FETCH: fetch((volatile u16 *)second_page - 1); break;
#if CASE == 2
    case WALK: walk(); break;
#endif
    case AMO: modify(); break;
    case LR: reserve(); break;
    case SC: store_reserved(); break;
    case CROSSING_LOAD: load_crossing(); break;
    case CROSSING_STORE: store_crossing(); break;
#if CASE >= 8
    case DISK_READ: disk(0); break;
    case DISK_WRITE: disk(1); break;
    case RANDOM: random_bytes(&queue, first_page); break;
    case QUEUE: random_bytes((struct queue *)first_page, second_page); break;
    case CONSOLE_WRITE: console_write(); break;
    case CONSOLE_READ: console_read(); break;
#endif
    default: check(0);
  }
  return 0;
}
