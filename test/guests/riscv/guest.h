// What the guests share: words, CSRs, the serial line, the end of a run.
#pragma once

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long u64;
typedef int i32;
typedef long i64;

#define PAGE_BYTES 4096
/// Of nothing else than what is declared so: tests take such pages away.
#define IN_PAGE(name) __attribute__((section(".pages." name), aligned(PAGE_BYTES)))

#define csr_read(csr) ({ u64 value_; asm volatile("csrr %0, " #csr : "=r"(value_)); value_; })
#define csr_write(csr, value) asm volatile("csrw " #csr ", %0" ::"r"((u64)(value)) : "memory")
#define csr_set(csr, bits) asm volatile("csrs " #csr ", %0" ::"r"((u64)(bits)) : "memory")
#define csr_clear(csr, bits) asm volatile("csrc " #csr ", %0" ::"r"((u64)(bits)) : "memory")
/// Numbers, because the assembler is older than Sstc.
#define STIMECMP 0x14d
#define MENVCFG 0x30a
#define csr_write_number(csr, value) \
  asm volatile("csrw %0, %1" ::"i"(csr), "r"((u64)(value)) : "memory")

#define fence_i() asm volatile("fence.i" ::: "memory")
#define wait_for_interrupt() asm volatile("wfi" ::: "memory")

static inline u64 now(void) {
  u64 ticks;
  asm volatile("rdtime %0" : "=r"(ticks)::"memory");
  return ticks;
}

#define UART 0x10000000ul
#define PLIC 0x0c000000ul
#define FINISHER 0x00100000ul
#define UART_IRQ 10

static inline void write32(u64 address, u32 value) { *(volatile u32 *)address = value; }
static inline u32 read32(u64 address) { return *(volatile u32 *)address; }
static inline void write8(u64 address, u8 value) { *(volatile u8 *)address = value; }
static inline u8 read8(u64 address) { return *(volatile u8 *)address; }

/// The integer registers of what was interrupted, and where.
struct frame {
  u64 x[32];
  u64 pc;
};

/// A guest that has traps defines it; without it each of them ends the run.
void trap(struct frame *frame, u64 cause, u64 value);

void put(const char *text);
void put_number(u64 number);
/// A byte from the serial line, or -1.
int take(void);
/// Says that the guest is there, and waits until somebody types.
void await_host(void);

_Noreturn void pass(void);
/// Code: the line, or 1000 and the cause of a trap.
_Noreturn void fail(const char *file, u32 code, u64 value);
#define check(condition) \
  do { if (!(condition)) fail(__FILE__, __LINE__, 0); } while (0)
#define check_equal(found, expected) \
  do { u64 found_ = (u64)(found); if (found_ != (u64)(expected)) fail(__FILE__, __LINE__, found_); } while (0)

/// xorshift64: the same numbers in each run.
u64 random_number(void);

/// How often an endless guest went round: tests look at it in RAM.
extern volatile u64 rounds;
