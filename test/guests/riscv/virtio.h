// A driver of virtio-mmio devices with one queue, which asks until it is answered.
#pragma once
#include "guest.h"

enum { QUEUE_SIZE = 8, BUFFER_NEXT = 1, BUFFER_WRITE = 2 };

struct descriptor { u64 address; u32 bytes; u16 flags, next; };
struct available { u16 flags, index, ring[QUEUE_SIZE]; };
struct used { u16 flags, index; struct { u32 head, bytes; } ring[QUEUE_SIZE]; };

/// In one page, apart from what else the guest has.
struct queue {
  struct descriptor descriptors[QUEUE_SIZE];
  struct available available;
  struct used used __attribute__((aligned(16)));
};

#define virtio_slot(slot) (0x10001000ul + (slot) * 0x1000ul)

/// Takes the features that are asked for; 0: no such device, or it refuses.
int virtio_start(u64 base, u32 device, u64 features, struct queue *queue);
/// Makes the chain available that begins at descriptor 0; the device has not heard of it.
void virtio_publish(struct queue *queue);
void virtio_notify(u64 base);
/// Waits for its end; returns how much was written.
u32 virtio_await(struct queue *queue);
