/**
 * Leaves that name something: the configuration's own objects, hosts, headers, methods, files. Every name
 * is checked by the rule of the place it ends up in, so that nothing accepted here can break a message.
 */

import { type Leaf, Refusal, text } from './scalar.ts';
import { nearest } from './suggest.ts';
import { FORBIDDEN_HEADERS } from './vocabulary.ts';

const NAME = /^[A-Za-z0-9]([A-Za-z0-9._:/-]{0,251}[A-Za-z0-9])?$/;

/** Names of listeners, routes and services; they become metric labels and log fields. */
export function objectName(): Leaf<string> {
  return text({
    expected:
      'a name of up to 253 letters, digits, ".", "-", "_", ":" and "/", with a letter or digit at both ends',
    json: { pattern: NAME.source },
    read: (name) => (NAME.test(name) ? name : new Refusal(null)),
  });
}

/** One of `values`; `later` names values that are understood and not supported yet. */
export function choice<const V extends string>(
  values: readonly V[],
  later: Readonly<Record<string, string>> = {},
): Leaf<V, V> {
  const expected = values.length === 1 ? `${values[0]}` : `one of ${values.join(', ')}`;
  return text<V>({
    expected,
    json: { enum: [...values] },
    read(value) {
      if ((values as readonly string[]).includes(value)) return value as V;
      const reason = Object.hasOwn(later, value) ? later[value] : undefined;
      if (reason !== undefined) return new Refusal(reason);
      const guess = nearest(value, values);
      return new Refusal(guess === null ? null : `did you mean ${guess}?`);
    },
  }) as unknown as Leaf<V, V>;
}

const LABEL = '[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?';
const HOSTNAME = new RegExp(`^${LABEL}(\\.${LABEL})*$`);

/** Lower case, without port; with `wildcard`, one `*.` may stand in front (Gateway API's Hostname). */
export function hostname(options: { readonly wildcard: boolean }): Leaf<string> {
  const example = options.wildcard ? 'cart.shop or "*.cart.shop"' : 'cart.shop';
  return text({
    expected: `a host name such as ${example}`,
    json: { maxLength: 253 },
    read(written) {
      const host = written.toLowerCase();
      const base = options.wildcard && host.startsWith('*.') ? host.slice(2) : host;
      if (host.length <= 253 && HOSTNAME.test(base)) return host;
      if (host === '*') return new Refusal('leave hostnames out: then every host matches');
      if (host.includes('://')) return new Refusal('write the host alone, without scheme and path');
      if (/:[0-9]+$/.test(host)) return new Refusal('leave the port out; a route matches every port');
      if (host.includes('*')) return new Refusal('a wildcard is "*." in front, for one or more whole labels');
      if (host.endsWith('.')) return new Refusal('remove the dot at the end');
      if (host.includes('_')) return new Refusal('"_" is no letter of a host name (RFC 1123)');
      return new Refusal(null);
    },
  });
}

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;

/** Why filters may not change a header; undefined: they may. */
export function whyNotChanged(name: string): string | undefined {
  return FORBIDDEN_HEADERS.get(name.toLowerCase());
}

/** A field name (RFC 9110 section 5.1), as written; whoever looks one up lowers it. */
export function headerName(use: 'match' | 'modify'): Leaf<string> {
  return text({
    expected: "a header name (letters, digits and !#$%&'*+-.^_`|~)",
    json: { pattern: TOKEN.source, maxLength: 256 },
    read(name) {
      if (use === 'match' && name.toLowerCase() === ':authority')
        return new Refusal('use hostnames of the route');
      if (name.startsWith(':'))
        return new Refusal('pseudo-headers have fields of their own: method, path, hostnames');
      if (name.length > 256 || !TOKEN.test(name)) return new Refusal(null);
      const reason = use === 'modify' ? whyNotChanged(name) : undefined;
      return reason === undefined ? name : new Refusal(reason, 'a header that a filter may change');
    },
  });
}

/** A field value that can be sent as it is (RFC 9110 section 5.5). */
export function headerValue(): Leaf<string> {
  return text({
    expected: 'a header value without control characters, and without spaces at its ends',
    json: { maxLength: 4096 },
    read(value) {
      if (value.length > 4096) return new Refusal('shorten it to 4096 characters');
      if (/[\r\n]/.test(value))
        return new Refusal('write it on one line; a folded YAML scalar (>-) joins lines');
      if (/[^\t\x20-\x7e]/.test(value)) return new Refusal('percent-encode what is not printable ASCII');
      return /^[\t ]|[\t ]$/.test(value) ? new Refusal('trim it') : value;
    },
  });
}

/** RFC 9110 section 9.1: case-sensitive. */
export function method(): Leaf<string> {
  return text({
    expected: 'a method such as GET or POST',
    json: { pattern: '^[A-Z][A-Z-]*$', examples: ['GET', 'POST'] },
    read(value) {
      if (value === 'CONNECT') return new Refusal('CONNECT is not supported yet');
      if (value.length <= 32 && /^[A-Z][A-Z-]*$/.test(value)) return value;
      return new Refusal(
        /^[A-Za-z-]+$/.test(value) ? `methods are case-sensitive: ${value.toUpperCase()}` : null,
      );
    },
  });
}

/** A file path, as written; relative ones start from the directory of the configuration file. */
export function filePath(): Leaf<string> {
  return text({
    expected: 'a file path',
    json: { minLength: 1 },
    read(path) {
      if (path === '') return new Refusal('write a path, or remove the key');
      if (path.includes('\0')) return new Refusal('remove the NUL character');
      if (path.startsWith('-----BEGIN'))
        return new Refusal('save the PEM text to a file and write its path here');
      return path;
    },
  });
}

/** Any text of at most `max` characters. */
export function anyText(expected: string, max: number): Leaf<string> {
  return text({
    expected,
    json: { maxLength: max },
    read: (value) => (value.length <= max ? value : new Refusal(`shorten it to ${max} characters`)),
  });
}

const COOKIE_NAME = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;

/** RFC 6265 section 4.1.1. */
export function cookieName(): Leaf<string> {
  return text({
    expected: "a cookie name (letters, digits and !#$%&'*+-.^_`|~)",
    json: { pattern: COOKIE_NAME.source, maxLength: 256 },
    read: (name) => (name.length <= 256 && COOKIE_NAME.test(name) ? name : new Refusal(null)),
  });
}
