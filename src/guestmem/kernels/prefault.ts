// Touches pages before the stream writes them, from another thread: the system commits a page on
// first use, which costs more than the copy itself, and a host with a free core can do it ahead.
import { PAGE_SHIFT, pageCount, ramBase, receivedMap } from './context';

// Touches the pages of [first, first + count) that have not come. Returns how many.
export function prefault(first: u32, count: u32): u32 {
  const ram = ramBase(), received = receivedMap();
  const end = min(pageCount(), first + count);
  let touched: u32 = 0;
  for (let pfn = first; pfn < end; pfn++) {
    if (atomic.load<u8>(received + pfn) != 0) continue;
    // `or 0` is a write to the system and changes nothing: whatever the loader stores before or
    // after it stays.
    atomic.or<u32>(ram + (<usize>pfn << PAGE_SHIFT), 0);
    touched++;
  }
  return touched;
}
