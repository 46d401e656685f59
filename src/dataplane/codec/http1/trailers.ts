/**
 * Which trailer fields are refused. RFC 9110 section 6.5.1 forbids senders to put into trailers what is needed
 * before the body: framing, routing, authentication, request modifiers. A recipient that merges trailers into
 * the header section would act on them, so a message with one of those an attacker can use is refused;
 * other fields pass, apart from the header fields.
 */
import { HeaderList, nameIdOf } from '../../../message/index.ts';

const FORBIDDEN: ReadonlySet<string> = new Set([
  // Framing and connection.
  'connection',
  'content-length',
  'expect',
  'host',
  'keep-alive',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  // Routing, and what earlier hops vouch for.
  'forwarded',
  'max-forwards',
  'via',
  'x-forwarded-client-cert',
  'x-forwarded-for',
  'x-forwarded-host',
  'x-forwarded-port',
  'x-forwarded-proto',
  'x-real-ip',
  'x-request-id',
  // Authentication and state.
  'authorization',
  'cookie',
  'proxy-authenticate',
  'proxy-authorization',
  'set-cookie',
  'www-authenticate',
]);

/** The trailers of a scanned section, or the name of the field for which they are refused. */
export function trailersOf(text: string, spans: number[], ids: number[]): HeaderList | string {
  for (let i = 0; i < ids.length; i++) {
    const name = text.slice(spans[4 * i], spans[4 * i + 1]).toLowerCase();
    if (FORBIDDEN.has(name)) return name;
  }
  return new HeaderList(text, spans, ids);
}

/** The trailers of a message that came by HTTP/2 as HTTP/1.1 may send them. */
export function withoutForbidden(trailers: HeaderList): HeaderList {
  const refused: string[] = [];
  trailers.forEach((name) => {
    if (FORBIDDEN.has(name.toLowerCase())) refused.push(name.toLowerCase());
  });
  if (refused.length === 0) return trailers;
  const allowed = trailers.clone();
  for (const name of refused) allowed.delete(nameIdOf(name) || name);
  return allowed;
}
