/**
 * Fields of the model that HTTP/2 does not send as they are: those of one HTTP/1.1 connection (RFC 9113 section 8.2.2),
 * Host, which is `:authority`, and Content-Length, which is written anew from what the head says.
 */
import { FieldSet, H } from '../../../message/index.ts';

export const HTTP1_FIELDS = new FieldSet([
  H.host,
  H.connection,
  H['keep-alive'],
  H['proxy-connection'],
  H['transfer-encoding'],
  H.upgrade,
  H['content-length'],
]);
