/**
 * Methods whose effect is the same however often the request is sent (RFC 9110 section 9.2.2). A proxy
 * must not repeat any other request of its own accord. An unknown method is taken to be none of them.
 */
export function isIdempotent(method: string): boolean {
  switch (method) {
    case 'GET':
    case 'HEAD':
    case 'OPTIONS':
    case 'TRACE':
    case 'PUT':
    case 'DELETE':
      return true;
    default:
      return false;
  }
}
