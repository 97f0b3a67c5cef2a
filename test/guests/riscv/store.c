// A key-value store that knows what it must hold: each value follows from key and version, the
// versions stand in a table of their own, and a checksum of all pairs is kept beside both.
// It works until somebody types. Guest 1 has memory beside it that it seldom looks at, and rests
// between its rounds, as one does that shares a host with others.
#include "guest.h"

enum { KEYS = 16384, BUCKETS = 4096, WORDS = 13, OPERATIONS = 256 };
enum { ROUNDS_BETWEEN_CHECKS = 64, ROUNDS_BETWEEN_RESTS = 8 };

struct node {
  struct node *next;
  u32 key;
  u32 version;
  u64 number;
  u64 words[WORDS];
};

static struct node nodes[KEYS];
static struct node *buckets[BUCKETS];
static struct node *unused;
static u32 versions[KEYS];
static u32 last_versions[KEYS];
static u64 checksum, count;

static u64 mix(u64 key, u64 version) {
  u64 value = key * 0x9e3779b97f4a7c15ul + version * 0xbf58476d1ce4e5b9ul;
  return value ^ value >> 29;
}

static struct node **find(u32 key) {
  struct node **at = &buckets[(key * 2654435761u) >> 20 & (BUCKETS - 1)];
  while (*at && (*at)->key != key) at = &(*at)->next;
  return at;
}

static void check_node(const struct node *node) {
  check(node->key < KEYS);
  check_equal(node->version, versions[node->key]);
  u64 seed = mix(node->key, node->version);
  check_equal(node->number, seed);
  for (u32 i = 0; i < WORDS; i++) check_equal(node->words[i], seed + i);
}

static void put_pair(u32 key) {
  struct node **at = find(key), *node = *at;
  if (node == 0) {
    check(versions[key] == 0 && unused != 0);
    node = *at = unused;
    unused = node->next;
    node->next = 0;
    node->key = key;
    count++;
  } else {
    check_node(node);
    checksum -= mix(key, versions[key]);
  }
  node->version = versions[key] = ++last_versions[key];
  node->number = mix(key, node->version);
  for (u32 i = 0; i < WORDS; i++) node->words[i] = node->number + i;
  checksum += node->number;
}

static void get_pair(u32 key) {
  struct node *node = *find(key);
  if (versions[key] == 0) check(node == 0);
  else {
    check(node != 0);
    check_node(node);
  }
}

static void delete_pair(u32 key) {
  struct node **at = find(key), *node = *at;
  check(node != 0 || versions[key] == 0);
  if (node == 0) return;
  check_node(node);
  checksum -= mix(key, versions[key]);
  versions[key] = 0;
  *at = node->next;
  node->next = unused;
  unused = node;
  count--;
}

static void check_all(void) {
  u64 sum = 0, found = 0;
  for (u32 bucket = 0; bucket < BUCKETS; bucket++)
    for (const struct node *node = buckets[bucket]; node; node = node->next) {
      check_node(node);
      sum += mix(node->key, node->version);
      found++;
    }
  for (const struct node *node = unused; node; node = node->next) found++;
  check_equal(found, KEYS);
  check_equal(sum, checksum);
}

#if CASE == 1
enum { COLD_WORDS = 6 << 17, PAGE_WORDS = 512, TIMER = 1 << 5, REST_TICKS = 30000 };

static u64 cold[COLD_WORDS];
static u64 next_page;

static void fill_cold(void) {
  for (u64 i = 0; i < COLD_WORDS; i++) cold[i] = mix(i, 1);
}

// One page at a time: in post-copy the others are missed by nobody.
static void check_cold(void) {
  for (u64 i = 0; i < PAGE_WORDS; i++) {
    u64 at = (next_page * PAGE_WORDS + i) % COLD_WORDS;
    check_equal(cold[at], mix(at, 1));
  }
  next_page++;
}

static void rest(void) {
  u64 deadline = now() + REST_TICKS;
  csr_write_number(MENVCFG, 1ul << 63);
  csr_write_number(STIMECMP, deadline);
  csr_set(mie, TIMER);
  do wait_for_interrupt();
  while (now() < deadline);
}
#else
static void fill_cold(void) {}
static void check_cold(void) {}
static void rest(void) {}
#endif

int main(void) {
  fill_cold();
  for (u32 i = 0; i < KEYS; i++) {
    nodes[i].next = unused;
    unused = &nodes[i];
  }
  while (take() < 0) {
    for (u32 i = 0; i < OPERATIONS; i++) {
      u64 chance = random_number();
      u32 key = chance % KEYS;
      u32 kind = chance >> 40 & 7;
      if (kind < 4) put_pair(key);
      else if (kind < 7) get_pair(key);
      else delete_pair(key);
    }
    if (rounds % ROUNDS_BETWEEN_RESTS == 0) rest();
    if (++rounds % ROUNDS_BETWEEN_CHECKS != 0) continue;
    check_all();
    check_cold();
    put("store ");
    put_number(rounds);
    put("\n");
  }
  check_all();
  return 0;
}
