# The first instructions of a guest, and its way into `trap` and back. RAM is zero when it begins.
# With SUPERVISOR it is entered where firmware would enter an operating system.
#ifdef SUPERVISOR
#define STATUS sstatus
#define TVEC stvec
#define SCRATCH sscratch
#define EPC sepc
#define CAUSE scause
#define TVAL stval
#define RETURN sret
#else
#define STATUS mstatus
#define TVEC mtvec
#define SCRATCH mscratch
#define EPC mepc
#define CAUSE mcause
#define TVAL mtval
#define RETURN mret
#endif

.section .text.start
.globl _start
_start:
  la sp, stack_top
  # Floating point is on.
  li t0, 0x6000
  csrs STATUS, t0
  la t0, trap_entry
  csrw TVEC, t0
  call main
  call pass

# Saves all integer registers in a frame on the stack: x1 to x31 at their numbers, then the pc.
.align 2
.globl trap_entry
trap_entry:
  csrw SCRATCH, sp
  addi sp, sp, -272
  sd x1, 8(sp)
.irp n, 3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
  sd x\n, (8 * \n)(sp)
.endr
  csrr t0, SCRATCH
  sd t0, 16(sp)
  csrr t0, EPC
  sd t0, 256(sp)
  mv a0, sp
  csrr a1, CAUSE
  csrr a2, TVAL
  call trap
  ld t0, 256(sp)
  csrw EPC, t0
  ld x1, 8(sp)
.irp n, 3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
  ld x\n, (8 * \n)(sp)
.endr
  ld sp, 16(sp)
  RETURN
