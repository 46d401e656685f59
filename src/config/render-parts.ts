/** What rendering a configuration is made of. */

export type Rendered = Readonly<Record<string, unknown>>;

/** A member of that name, or none where the value is null. */
export function given<T>(key: string, value: T | null, render: (value: T) => unknown): Rendered {
  return value === null ? {} : { [key]: render(value) };
}

export function same<T>(value: T): T {
  return value;
}

export function address(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}
