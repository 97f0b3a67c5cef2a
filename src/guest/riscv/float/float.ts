// Stand-in.
export let floatFlags: u32 = 0;
function canon32(v: f32): u32 { return v != v ? 0x7fc00000 : reinterpret<u32>(v); }
function canon64(v: f64): u64 { return v != v ? 0x7ff8000000000000 : reinterpret<u64>(v); }
@inline function s(a: u32): f32 { return reinterpret<f32>(a); }
@inline function d(a: u64): f64 { return reinterpret<f64>(a); }
export function f32_add(a: u32, b: u32, rm: u32): u32 { return canon32(s(a) + s(b)); }
export function f32_sub(a: u32, b: u32, rm: u32): u32 { return canon32(s(a) - s(b)); }
export function f32_mul(a: u32, b: u32, rm: u32): u32 { return canon32(s(a) * s(b)); }
export function f32_div(a: u32, b: u32, rm: u32): u32 { return canon32(s(a) / s(b)); }
export function f32_sqrt(a: u32, rm: u32): u32 { return canon32(sqrt<f32>(s(a))); }
export function f32_fma(a: u32, b: u32, c: u32, rm: u32): u32 { return canon32(<f32>(<f64>s(a) * <f64>s(b) + <f64>s(c))); }
export function f64_add(a: u64, b: u64, rm: u32): u64 { return canon64(d(a) + d(b)); }
export function f64_sub(a: u64, b: u64, rm: u32): u64 { return canon64(d(a) - d(b)); }
export function f64_mul(a: u64, b: u64, rm: u32): u64 { return canon64(d(a) * d(b)); }
export function f64_div(a: u64, b: u64, rm: u32): u64 { return canon64(d(a) / d(b)); }
export function f64_sqrt(a: u64, rm: u32): u64 { return canon64(sqrt<f64>(d(a))); }
export function f64_fma(a: u64, b: u64, c: u64, rm: u32): u64 { return canon64(d(a) * d(b) + d(c)); }
export function f32_min(a: u32, b: u32): u32 { return s(a) != s(a) ? canon32(s(b)) : s(b) != s(b) ? a : canon32(min(s(a), s(b))); }
export function f32_max(a: u32, b: u32): u32 { return s(a) != s(a) ? canon32(s(b)) : s(b) != s(b) ? a : canon32(max(s(a), s(b))); }
export function f64_min(a: u64, b: u64): u64 { return d(a) != d(a) ? canon64(d(b)) : d(b) != d(b) ? a : canon64(min(d(a), d(b))); }
export function f64_max(a: u64, b: u64): u64 { return d(a) != d(a) ? canon64(d(b)) : d(b) != d(b) ? a : canon64(max(d(a), d(b))); }
export function f32_eq(a: u32, b: u32): u32 { return u32(s(a) == s(b)); }
export function f32_lt(a: u32, b: u32): u32 { return u32(s(a) < s(b)); }
export function f32_le(a: u32, b: u32): u32 { return u32(s(a) <= s(b)); }
export function f64_eq(a: u64, b: u64): u32 { return u32(d(a) == d(b)); }
export function f64_lt(a: u64, b: u64): u32 { return u32(d(a) < d(b)); }
export function f64_le(a: u64, b: u64): u32 { return u32(d(a) <= d(b)); }
export function f32_class(a: u32): u32 { return 0; }
export function f64_class(a: u64): u32 { return 0; }
export function f64_from_f32(a: u32): u64 { return canon64(<f64>s(a)); }
export function f32_from_f64(a: u64, rm: u32): u32 { return canon32(<f32>d(a)); }
export function f32_to_i32(a: u32, rm: u32): u64 { return i64(i32(s(a))); }
export function f32_to_u32(a: u32, rm: u32): u64 { return i64(i32(u32(s(a)))); }
export function f32_to_i64(a: u32, rm: u32): u64 { return i64(s(a)); }
export function f32_to_u64(a: u32, rm: u32): u64 { return u64(s(a)); }
export function f64_to_i32(a: u64, rm: u32): u64 { return i64(i32(d(a))); }
export function f64_to_u32(a: u64, rm: u32): u64 { return i64(i32(u32(d(a)))); }
export function f64_to_i64(a: u64, rm: u32): u64 { return i64(d(a)); }
export function f64_to_u64(a: u64, rm: u32): u64 { return u64(d(a)); }
export function f32_from_i32(v: u64, rm: u32): u32 { return canon32(f32(i32(v))); }
export function f32_from_u32(v: u64, rm: u32): u32 { return canon32(f32(u32(v))); }
export function f32_from_i64(v: u64, rm: u32): u32 { return canon32(f32(i64(v))); }
export function f32_from_u64(v: u64, rm: u32): u32 { return canon32(f32(v)); }
export function f64_from_i32(v: u64, rm: u32): u64 { return canon64(f64(i32(v))); }
export function f64_from_u32(v: u64, rm: u32): u64 { return canon64(f64(u32(v))); }
export function f64_from_i64(v: u64, rm: u32): u64 { return canon64(f64(i64(v))); }
export function f64_from_u64(v: u64, rm: u32): u64 { return canon64(f64(v)); }
