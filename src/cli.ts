#!/usr/bin/env node
/**
 * The `serin` command: rollouts from a terminal or a pipeline, over the API, and what needs no API: override
 * tokens, the check of a configuration, and the moving of whole stores.
 *
 * Results go to standard output, everything else to standard error.
 */
import { text as readText } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { runSerin } from './cli/run.ts';

process.exitCode = await runSerin(process.argv.slice(2), {
  env: process.env,
  stdin: () => readText(process.stdin),
  out: (text) => void process.stdout.write(text),
  err: (text) => void process.stderr.write(text),
  clock: { wallNow: Date.now, sleep: (milliseconds) => sleep(milliseconds) },
});
