/**
 * Fields that belong to one connection and are taken out before a message is passed on (RFC 9110 section
 * 7.6.1): those named here and those that `Connection` names. `Trailer` stays: it says what the message's
 * trailers will be, and they are passed on. The framing fields are the codec's and written anew.
 */
import { FieldSet } from './field-set.ts';
import type { HeaderList } from './headers.ts';
import { listElements } from './list.ts';
import { H } from './names.ts';

export const HOP_BY_HOP: readonly number[] = [
  H.connection,
  H['keep-alive'],
  H['proxy-connection'],
  H['transfer-encoding'],
  H.upgrade,
  H['proxy-authenticate'],
  H['proxy-authorization'],
];

const ALWAYS = new FieldSet(HOP_BY_HOP);
const ALL_BUT_UPGRADE = new FieldSet(HOP_BY_HOP.filter((id) => id !== H.upgrade));

/**
 * Takes the hop-by-hop fields out of `headers`. `TE: trailers` stays, reduced to that (gRPC needs it; RFC 9110
 * section 10.1.4), any other `TE` goes. `keepUpgrade`: leaves `Upgrade` in place, for a 101 answer; a request's is in `head.upgrade`.
 */
export function stripHopByHop(headers: HeaderList, keepUpgrade = false): void {
  const connection = headers.getAll(H.connection);
  headers.deleteAll(keepUpgrade ? ALL_BUT_UPGRADE : ALWAYS);
  const te = headers.getAll(H.te);
  if (te !== undefined && te !== 'trailers') {
    if (listElements(te.toLowerCase()).includes('trailers')) headers.setClean(H.te, 'trailers');
    else headers.delete(H.te);
  }
  if (connection === undefined) return;
  const options = connection.toLowerCase();
  if (options === 'keep-alive' || options === 'close') return;
  for (const name of listElements(options)) if (name !== 'te' && name !== 'upgrade') headers.delete(name);
}
