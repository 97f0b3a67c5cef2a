// One access of each kind through the soft MMU, so that the property tests can compare them with a
// plain reference.
import { load8, load32, load64, store8, store32, store64 } from '../../guestmem/soft-mmu/soft-mmu';

export function load8At(gpa: u32): u32 { return load8(gpa); }
export function load32At(gpa: u32): u32 { return load32(gpa); }
export function load64At(gpa: u32): u64 { return load64(gpa); }
export function store8At(gpa: u32, value: u32): void { store8(gpa, value); }
export function store32At(gpa: u32, value: u32): void { store32(gpa, value); }
export function store64At(gpa: u32, value: u64): void { store64(gpa, value); }
