#!/usr/bin/env node
/** The `outboard` command. It ends the process by hand: nothing forgotten may keep a drained proxy alive. */
import { collectWithoutHelpers } from './base/index.ts';
import { main } from './cli/index.ts';

/** A reader of our output that has stopped reading keeps us no longer than this. */
const FLUSH_MS = 2_000;

collectWithoutHelpers();
// Whoever reads may have heard enough (`outboard schema | head`).
process.stdout.on('error', () => {});
const code = await main(process.argv.slice(2));
const exit = (): never => process.exit(code);
// A pipe takes 64 KiB at a time, and exiting drops the rest.
process.stdout.write('', exit);
setTimeout(exit, FLUSH_MS);
