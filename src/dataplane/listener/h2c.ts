/**
 * The one way from HTTP/1.1 to HTTP/2 without TLS (RFC 7540 section 3.2): a request without a body that offers `h2c` and
 * tells the client's settings. RFC 9113 has withdrawn it; clients and health checkers that know nothing else are still about.
 */
import type { RequestHead } from '../../message/index.ts';
import { noSettings, readSettings, SETTING_BYTES, type SettingsValues } from '../codec/http2/index.ts';

const FIELD = 'http2-settings';
const BASE64URL = /^[A-Za-z0-9_-]*={0,2}$/;
const SETTINGS_MAX = 32;

export const SWITCHING = 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n';

/** The client's settings, which 101 acknowledges; null: the request can't be switched, and is answered as it is. */
export function settingsOf(head: RequestHead): SettingsValues | null {
  if (head.body !== 'none' || head.headers.count(FIELD) !== 1) return null;
  const value = head.headers.get(FIELD) ?? '';
  if (!BASE64URL.test(value)) return null;
  const payload = Buffer.from(value, 'base64url');
  const { length } = payload;
  if (length % SETTING_BYTES !== 0 || length > SETTINGS_MAX * SETTING_BYTES) return null;
  const settings = noSettings();
  return readSettings(payload, 0, length, settings) === null ? settings : null;
}
