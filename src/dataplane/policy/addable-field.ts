/** Fields that another program may add to a head: names that are one (RFC 9110 section 5.1), and none that frames or routes it. */

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,256}$/;

const OURS = new Set([
  'connection',
  'content-length',
  'host',
  'keep-alive',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

/** In whatever case. */
export function isAddableField(name: string): boolean {
  return TOKEN.test(name) && !OURS.has(name.toLowerCase());
}
