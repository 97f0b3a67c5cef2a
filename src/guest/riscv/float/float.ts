// The arithmetic of F and D, by the names of what it does: format, operation, and for conversions
// the other side. README.md tells what it promises.
export { floatFlags } from './flags';
export {
  f32_add, f32_div, f32_fma, f32_mul, f32_sqrt, f32_sub,
} from './binary32';
export {
  f64_add, f64_div, f64_fma, f64_mul, f64_sqrt, f64_sub,
} from './binary64';
export {
  f32_class, f32_eq, f32_le, f32_lt, f32_max, f32_min, f64_class, f64_eq, f64_le, f64_lt, f64_max, f64_min,
} from './comparison';
export {
  f32_from_f64, f32_from_i32, f32_from_i64, f32_from_u32, f32_from_u64, f32_to_i32, f32_to_i64, f32_to_u32,
  f32_to_u64, f64_from_f32, f64_from_i32, f64_from_i64, f64_from_u32, f64_from_u64, f64_to_i32, f64_to_i64,
  f64_to_u32, f64_to_u64,
} from './conversion';
