// A disk in slot 1. CASE 0: writes all of it, flushes, reads it back, until somebody types.
// CASE 1: it is read-only, says so, and refuses writes. CASE 2: instructions come from it.
#include "virtio.h"

enum { SECTOR = 512, SECTORS_AT_ONCE = 16, READ = 0, WRITE = 1, FLUSH = 4 };
enum { OK = 0, IO_ERROR = 1, READ_ONLY = 1 << 5, CAN_FLUSH = 1 << 9 };

static struct queue queue __attribute__((aligned(PAGE_BYTES)));
static struct { u32 type, reserved; u64 sector; } header;
/// Both in pages that only the device writes.
IN_PAGE("status") static volatile u8 status[PAGE_BYTES];
IN_PAGE("incoming") static volatile u64 incoming[2 * PAGE_BYTES / 8];
static volatile u64 outgoing[SECTORS_AT_ONCE * SECTOR / 8];
enum { BYTES = sizeof outgoing, WORDS = BYTES / 8 };
static u64 const base = virtio_slot(1);

static u8 request(u32 type, u64 sector, u64 bytes) {
  header.type = type;
  header.sector = sector;
  u16 data_flags = type == READ ? BUFFER_NEXT | BUFFER_WRITE : BUFFER_NEXT;
  u16 status_at = bytes == 0 ? 1 : 2;
  queue.descriptors[0] = (struct descriptor){(u64)&header, 16, BUFFER_NEXT, 1};
  queue.descriptors[1] = (struct descriptor){(u64)(type == READ ? incoming : outgoing), bytes, data_flags, 2};
  queue.descriptors[status_at] = (struct descriptor){(u64)status, 1, BUFFER_WRITE, 0};
  virtio_publish(&queue);
  virtio_notify(base);
  virtio_await(&queue);
  return *status;
}

static u64 word(u64 sector, u64 index, u64 version) {
  return (sector * 64 + index) * 0x9e3779b97f4a7c15ul + version;
}

static void write_all(u64 sectors, u64 version) {
  for (u64 sector = 0; sector < sectors; sector += SECTORS_AT_ONCE) {
    for (u64 i = 0; i < WORDS; i++) outgoing[i] = word(sector, i, version);
    check_equal(request(WRITE, sector, BYTES), OK);
  }
  check_equal(request(FLUSH, 0, 0), OK);
}

static void check_all(u64 sectors, u64 version) {
  for (u64 sector = 0; sector < sectors; sector += SECTORS_AT_ONCE) {
    check_equal(request(READ, sector, BYTES), OK);
    for (u64 i = 0; i < WORDS; i++) check_equal(incoming[i], word(sector, i, version));
  }
}

/// Each sector has a function that says which one it is; the device puts one in place of another.
static void run_from_disk(u64 sectors) {
  u64 (*function)(void) = (u64 (*)(void))incoming;
  for (u64 sector = 0; sector < sectors; sector++) {
    // li a0, sector; ret
    outgoing[0] = 0x0000806700000513ul | sector << 20;
    check_equal(request(WRITE, sector, SECTOR), OK);
  }
  for (u64 sector = 0; sector < sectors; sector++) {
    check_equal(request(READ, sector, SECTOR), OK);
    fence_i();
    check_equal(function(), sector);
  }
}

int main(void) {
  check(virtio_start(base, 2, CASE == 1 ? CAN_FLUSH | READ_ONLY : CAN_FLUSH, &queue));
  u64 sectors = read32(base + 0x100) | (u64)read32(base + 0x104) << 32;
  check(sectors >= SECTORS_AT_ONCE && sectors % SECTORS_AT_ONCE == 0);
  check_equal(request(READ, sectors, BYTES), IO_ERROR);
  if (CASE == 2) {
    run_from_disk(sectors);
    return 0;
  }
  if (CASE == 1) {
    // The test has filled it.
    check_all(sectors, 7);
    check_equal(request(WRITE, 0, BYTES), IO_ERROR);
    check_all(sectors, 7);
    return 0;
  }
  do {
    rounds++;
    write_all(sectors, rounds);
    check_all(sectors, rounds);
  } while (take() < 0);
  return 0;
}
