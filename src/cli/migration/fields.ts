/** Reads a JSON object whose fields may be missing or of another type: nothing here throws. */
export class Fields {
  private readonly values: Readonly<Record<string, unknown>>;

  constructor(value: unknown) {
    const isObject = typeof value === 'object' && value !== null && !Array.isArray(value);
    // Any object can be read by its string keys.
    this.values = isObject ? (value as Record<string, unknown>) : {};
  }

  has(key: string): boolean {
    return this.values[key] !== undefined && this.values[key] !== null;
  }

  keys(): string[] {
    return Object.keys(this.values);
  }

  plain(): Readonly<Record<string, unknown>> {
    return this.values;
  }

  number(key: string): number | undefined {
    const value = this.values[key];
    return typeof value === 'number' && Number.isFinite(value) ? value : undefined;
  }

  /** Zero when it is missing. */
  count(key: string): number {
    return this.number(key) ?? 0;
  }

  text(key: string): string | undefined {
    const value = this.values[key];
    return typeof value === 'string' ? value : undefined;
  }

  flag(key: string): boolean {
    return this.values[key] === true;
  }

  object(key: string): Fields {
    return new Fields(this.values[key]);
  }

  list(key: string): readonly unknown[] {
    const value = this.values[key];
    return Array.isArray(value) ? value : [];
  }
}
