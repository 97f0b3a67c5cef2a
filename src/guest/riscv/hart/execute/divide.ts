// Division as RISC-V has it: by zero and overflow have results, and nothing traps.
@inline export function divide(a: i64, b: i64): i64 {
  if (b == 0) return -1;
  return b == -1 ? -a : a / b;
}

@inline export function remainder(a: i64, b: i64): i64 {
  if (b == 0) return a;
  return b == -1 ? 0 : a % b;
}

@inline export function divideUnsigned(a: u64, b: u64): u64 {
  return b == 0 ? <u64>-1 : a / b;
}

@inline export function remainderUnsigned(a: u64, b: u64): u64 {
  return b == 0 ? a : a % b;
}

@inline export function divideWord(a: i32, b: i32): i32 {
  if (b == 0) return -1;
  return b == -1 ? -a : a / b;
}

@inline export function remainderWord(a: i32, b: i32): i32 {
  if (b == 0) return a;
  return b == -1 ? 0 : a % b;
}

@inline export function divideWordUnsigned(a: u32, b: u32): i32 {
  return b == 0 ? -1 : <i32>(a / b);
}

@inline export function remainderWordUnsigned(a: u32, b: u32): i32 {
  return b == 0 ? <i32>a : <i32>(a % b);
}
