#!/usr/bin/env node
/** The `outboard` command. It ends the process by hand: nothing forgotten may keep a drained proxy alive. */
import { main } from './cli/index.ts';

process.exit(await main(process.argv.slice(2)));
