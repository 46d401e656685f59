/**
 * Certificate rotation keeps nothing of what it replaced. Native memory of a TLS context is invisible to
 * the heap, so the test counts the server objects that own contexts, by weak references.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { Server } from 'node:tls';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { createCa, issueCertificate, loadedSecrets } from '../kit/certs.ts';
import { secretsOf, shake, withTerminator } from './harness.ts';

setFlagsFromString('--expose-gc');
const gc = runInNewContext('gc') as () => void;

const ROTATIONS = 25;

test(`${ROTATIONS} rotations under traffic leave one generation of servers alive`, async (t) => {
  const made: WeakRef<object>[] = [];
  const { on } = Server.prototype;
  // Not t.mock: it remembers every call, and so would keep the servers alive itself.
  Server.prototype.on = function (this: Server, ...args: Parameters<typeof on>) {
    if (args[0] === 'tlsClientError') made.push(new WeakRef(this));
    return on.apply(this, args);
  };
  t.after(() => {
    Server.prototype.on = on;
  });
  const ca = createCa({ commonName: 'root' });
  const generation = async () => {
    const certificates = ['web', 'cart'].map((name) => [
      name,
      issueCertificate(ca, { commonName: name, dnsNames: [`${name}.shop`] }),
    ]);
    return Object.fromEntries(certificates) as Record<'web' | 'cart', ReturnType<typeof issueCertificate>>;
  };
  const first = await generation();
  const tls = { certificates: ['web', 'cart'] };
  await withTerminator({ secrets: secretsOf(await loadedSecrets(first)), tls }, async (h) => {
    for (let i = 0; i < ROTATIONS; i++) {
      const issued = await generation();
      assert.equal(h.terminator.update(secretsOf(await loadedSecrets(issued))), null);
      for (const name of ['web', 'cart'] as const) {
        const view = await shake(h.port, { ca: ca.certPem, servername: `${name}.shop` });
        assert.equal(view.serial, issued[name].serial);
        assert.equal(view.data, 'hello');
        await h.outcome();
      }
    }
    // One server per certificate, and the one shown to unknown names is one of them.
    assert.equal(made.length, 2 * ROTATIONS + 1);
    let alive = made.length;
    for (let i = 0; i < 50 && alive > 2; i++) {
      await turn();
      gc();
      alive = made.filter((server) => server.deref() !== undefined).length;
    }
    assert.equal(alive, 2);
  });
});
