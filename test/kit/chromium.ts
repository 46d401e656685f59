/**
 * Headless Chromium, driven by the DevTools protocol over a pipe (messages end in a zero byte). It takes every name
 * for this machine, and one public key for trusted, whatever its issuer.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { createHash, X509Certificate } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { ended } from './program.ts';

/** For a page to load or a script to end; far more than it takes. */
const PATIENCE_MS = 60_000;

export interface Page {
  /** Loads the address and resolves when it has loaded. */
  open(url: string): Promise<void>;
  /** The value of an expression, a promise's when it is one; it has to fit JSON. */
  evaluate<T>(expression: string): Promise<T>;
  /** A PNG of what is shown. */
  screenshot(): Promise<Buffer>;
}

/** Runs `use` with a page of a browser of its own. */
export async function withChromium<T>(
  path: string,
  trustedCertPem: string,
  use: (page: Page) => Promise<T>,
): Promise<T> {
  const directory = mkdtempSync(join(tmpdir(), 'outboard-chromium-'));
  const child = spawn(
    path,
    [
      '--headless=new',
      '--remote-debugging-pipe',
      '--no-sandbox',
      '--disable-gpu',
      '--disable-dev-shm-usage',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
      `--user-data-dir=${directory}`,
      '--host-resolver-rules=MAP * 127.0.0.1',
      `--ignore-certificate-errors-spki-list=${publicKeyHash(trustedCertPem)}`,
      'about:blank',
    ],
    { stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'] },
  );
  try {
    return await use(await firstPage(new DevTools(child)));
  } finally {
    await ended(child);
    rmSync(directory, { recursive: true, maxRetries: 10 });
  }
}

function publicKeyHash(certPem: string): string {
  const key = new X509Certificate(certPem).publicKey.export({ type: 'spki', format: 'der' });
  return createHash('sha256').update(key).digest('base64');
}

async function firstPage(tools: DevTools): Promise<Page> {
  const { targetId } = await tools.send('Target.createTarget', { url: 'about:blank' });
  const { sessionId } = await tools.send('Target.attachToTarget', { targetId, flatten: true });
  const session = String(sessionId);
  await tools.send('Page.enable', {}, session);
  return {
    async open(url) {
      const loaded = tools.event('Page.loadEventFired');
      const { errorText } = await tools.send('Page.navigate', { url }, session);
      if (errorText !== undefined) throw new Error(`${url}: ${String(errorText)}`);
      await loaded;
    },
    async evaluate<T>(expression: string) {
      const params = { expression, awaitPromise: true, returnByValue: true };
      const { result, exceptionDetails } = await tools.send('Runtime.evaluate', params, session);
      if (exceptionDetails !== undefined) throw new Error(`in the page: ${JSON.stringify(exceptionDetails)}`);
      return (result as { value: T }).value;
    },
    async screenshot() {
      const { data } = await tools.send('Page.captureScreenshot', { format: 'png' }, session);
      return Buffer.from(String(data), 'base64');
    },
  };
}

type Json = Record<string, unknown>;

class DevTools {
  private readonly commands: Writable;
  private readonly answers = new Map<number, (message: Json) => void>();
  private readonly events = new Map<string, () => void>();
  private held = '';
  private last = 0;

  constructor(child: ChildProcess) {
    this.commands = child.stdio[3] as Writable;
    const messages = child.stdio[4] as Readable;
    messages.setEncoding('utf8');
    messages.on('data', (text: string) => {
      const parts = (this.held + text).split('\0');
      this.held = parts.pop() ?? '';
      for (const part of parts) this.take(JSON.parse(part) as Json);
    });
    for (const stream of [messages, this.commands]) stream.on('error', () => {});
  }

  async send(method: string, params: Json, sessionId?: string): Promise<Json> {
    const id = ++this.last;
    const answer = await this.within(method, (resolve) => {
      this.answers.set(id, resolve);
      this.commands.write(`${JSON.stringify({ id, method, params, sessionId })}\0`);
    });
    if (answer.error !== undefined) throw new Error(`${method}: ${JSON.stringify(answer.error)}`);
    return answer.result as Json;
  }

  /** Resolves at the next event of this name. */
  async event(name: string): Promise<void> {
    await this.within(name, (resolve) => this.events.set(name, () => resolve({})));
  }

  private within(what: string, begin: (resolve: (message: Json) => void) => void): Promise<Json> {
    return new Promise((resolve, reject) => {
      const overdue = setTimeout(() => reject(new Error(`Chromium did not get to ${what}`)), PATIENCE_MS);
      begin((message) => {
        clearTimeout(overdue);
        resolve(message);
      });
    });
  }

  private take(message: Json): void {
    const key = message.id as number;
    this.answers.get(key)?.(message);
    this.answers.delete(key);
    const event = this.events.get(String(message.method));
    this.events.delete(String(message.method));
    event?.();
  }
}
