# One access in a mode that the caller has put into mstatus.MPP:
#
#   void probe(struct outcome *outcome, u64 stub, u64 address, u64 value)
#
# `stub` is the virtual address of one of the four accesses below. The trap that ends it brings the
# hart back here, in machine mode.
.text
.globl probe
.align 2
probe:
  addi sp, sp, -128
  sd ra, 0(sp)
.irp n, 0,1,2,3,4,5,6,7,8,9,10,11
  sd s\n, (8 + 8 * \n)(sp)
.endr
  sd a0, 104(sp)
  csrr t0, mtvec
  sd t0, 112(sp)
  la t0, probe_stack
  sd sp, 0(t0)
  la t0, returned
  csrw mtvec, t0
  csrw mepc, a1
  mv a0, a2
  mv a1, a3
  mret
.align 2
returned:
  la t0, probe_stack
  ld sp, 0(t0)
  ld t0, 104(sp)
  sd a0, 0(t0)
  csrr t1, mcause
  sd t1, 8(t0)
  csrr t1, mtval
  sd t1, 16(t0)
  ld t0, 112(sp)
  csrw mtvec, t0
  ld ra, 0(sp)
.irp n, 0,1,2,3,4,5,6,7,8,9,10,11
  ld s\n, (8 + 8 * \n)(sp)
.endr
  addi sp, sp, 128
  ret

.globl stub_load, stub_store, stub_modify, stub_call
stub_load:
  ld a0, 0(a0)
  ecall
stub_store:
  sd a1, 0(a0)
  ecall
stub_modify:
  amoadd.d a0, a1, (a0)
  ecall
stub_call:
  jalr a0
  ecall

.bss
.align 3
probe_stack: .dword 0
