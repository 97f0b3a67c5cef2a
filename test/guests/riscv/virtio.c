#include "virtio.h"

static void set64(u64 address, const volatile void *target) {
  write32(address, (u32)(u64)target);
  write32(address + 4, (u64)target >> 32);
}

int virtio_start(u64 base, u32 device, u64 features, struct queue *queue) {
  if (read32(base) != 0x74726976 || read32(base + 4) != 2 || read32(base + 8) != device) return 0;
  write32(base + 0x70, 0);
  write32(base + 0x70, 1 | 2);
  features |= 1ul << 32;
  for (u32 half = 0; half < 2; half++) {
    write32(base + 0x14, half);
    if ((features >> (32 * half) & ~(u64)read32(base + 0x10) & 0xffffffff) != 0) return 0;
    write32(base + 0x24, half);
    write32(base + 0x20, features >> (32 * half));
  }
  write32(base + 0x70, 1 | 2 | 8);
  if ((read32(base + 0x70) & 8) == 0) return 0;
  write32(base + 0x30, 0);
  write32(base + 0x38, QUEUE_SIZE);
  set64(base + 0x80, queue->descriptors);
  set64(base + 0x90, &queue->available);
  set64(base + 0xa0, &queue->used);
  write32(base + 0x44, 1);
  write32(base + 0x70, 1 | 2 | 8 | 4);
  return 1;
}

void virtio_publish(struct queue *queue) {
  u16 index = queue->available.index;
  queue->available.ring[index % QUEUE_SIZE] = 0;
  asm volatile("fence" ::: "memory");
  *(volatile u16 *)&queue->available.index = index + 1;
}

void virtio_notify(u64 base) {
  asm volatile("fence" ::: "memory");
  write32(base + 0x50, 0);
}

u32 virtio_await(struct queue *queue) {
  while (*(volatile u16 *)&queue->used.index != queue->available.index) {
  }
  asm volatile("fence" ::: "memory");
  return queue->used.ring[(u16)(queue->used.index - 1) % QUEUE_SIZE].bytes;
}
