// Sorts in three ways what is the same, and looks at order and content.
#include "guest.h"

enum { COUNT = 60000 };
static i32 numbers[COUNT];
static i32 copy[COUNT];
static double reals[COUNT];

static void swap(i32 *a, i32 *b) {
  i32 kept = *a;
  *a = *b;
  *b = kept;
}

static void quick(i32 *from, i32 *end) {
  while (end - from > 16) {
    i32 pivot = from[(end - from) / 2];
    i32 *low = from, *high = end - 1;
    while (low <= high) {
      while (*low < pivot) low++;
      while (*high > pivot) high--;
      if (low <= high) swap(low++, high--);
    }
    quick(from, high + 1);
    from = low;
  }
  for (i32 *each = from + 1; each < end; each++)
    for (i32 *at = each; at > from && at[-1] > *at; at--) swap(at, at - 1);
}

static void sift(double *heap, u64 root, u64 count) {
  for (u64 child; (child = 2 * root + 1) < count; root = child) {
    if (child + 1 < count && heap[child + 1] > heap[child]) child++;
    if (heap[root] >= heap[child]) return;
    double kept = heap[root];
    heap[root] = heap[child];
    heap[child] = kept;
  }
}

static void by_heap(double *heap, u64 count) {
  for (u64 root = count / 2; root-- > 0;) sift(heap, root, count);
  for (u64 last = count - 1; last > 0; last--) {
    double kept = heap[0];
    heap[0] = heap[last];
    heap[last] = kept;
    sift(heap, 0, last);
  }
}

/// By bytes, lowest first; the sign turns the order of the last.
static void radix(i32 *from, i32 *to) {
  for (u32 shift = 0; shift < 32; shift += 8) {
    u32 places[257] = {0};
    u32 turn = shift == 24 ? 0x80 : 0;
    for (u32 i = 0; i < COUNT; i++) places[((((u32)from[i] >> shift) & 255) ^ turn) + 1]++;
    for (u32 i = 0; i < 256; i++) places[i + 1] += places[i];
    for (u32 i = 0; i < COUNT; i++) to[places[(((u32)from[i] >> shift) & 255) ^ turn]++] = from[i];
    i32 *kept = from;
    from = to;
    to = kept;
  }
}

static i32 spare[COUNT];

int main(void) {
  u64 sum = 0;
  for (u32 i = 0; i < COUNT; i++) {
    numbers[i] = copy[i] = (i32)random_number();
    reals[i] = numbers[i];
    sum += (u32)numbers[i] * 2654435761ul;
  }
  quick(numbers, numbers + COUNT);
  by_heap(reals, COUNT);
  radix(copy, spare);
  for (u32 i = 0; i < COUNT; i++) {
    check(i == 0 || numbers[i - 1] <= numbers[i]);
    check_equal(copy[i], numbers[i]);
    check(reals[i] == numbers[i]);
    sum -= (u32)numbers[i] * 2654435761ul;
  }
  check_equal(sum, 0);
  return 0;
}
