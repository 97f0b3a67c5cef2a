/** A set of guest pages of a plan: 32 pages a word. */
export class PageBits {
  private words: Uint32Array;

  constructor(pageCount: number) {
    this.words = new Uint32Array(Math.ceil(pageCount / 32));
  }

  /** A bit a page, the lowest first. */
  static ofBitmap(bitmap: Uint8Array): PageBits {
    const set = new PageBits(bitmap.length * 8);
    for (const [at, byte] of bitmap.entries()) {
      const word = at >>> 2;
      set.words[word] = (set.words[word] as number) | (byte << ((at & 3) * 8));
    }
    return set;
  }

  add(pfn: number): void {
    const word = pfn >>> 5;
    this.words[word] = (this.words[word] as number) | (1 << (pfn & 31));
  }

  remove(pfn: number): void {
    const word = pfn >>> 5;
    this.words[word] = (this.words[word] as number) & ~(1 << (pfn & 31));
  }

  copy(): PageBits {
    const set = new PageBits(0);
    set.words = Uint32Array.from(this.words);
    return set;
  }

  addAll(other: PageBits): void {
    for (let word = 0; word < this.words.length; word += 1) {
      this.words[word] = (this.words[word] as number) | (other.words[word] as number);
    }
  }

  has(pfn: number): boolean {
    return (((this.words[pfn >>> 5] as number) >>> (pfn & 31)) & 1) === 1;
  }

  clear(): void {
    this.words.fill(0);
  }

  get count(): number {
    let count = 0;
    for (const word of this.words) count += bitsOf(word);
    return count;
  }

  /** Ascending. */
  forEach(visit: (pfn: number) => void): void {
    for (let word = 0; word < this.words.length; word += 1) {
      for (let left = this.words[word] as number; left !== 0; left &= left - 1) {
        visit(word * 32 + 31 - Math.clz32(left & -left));
      }
    }
  }
}

function bitsOf(word: number): number {
  let bits = word - ((word >>> 1) & 0x55555555);
  bits = (bits & 0x33333333) + ((bits >>> 2) & 0x33333333);
  return Math.imul((bits + (bits >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
}
