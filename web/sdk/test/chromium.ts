import { existsSync } from 'node:fs';
import { type Browser, chromium } from 'playwright-core';

/** Those that may be here, the one that costs the least first. */
const known = ['/usr/bin/chromium-headless-shell', '/usr/bin/chromium'];

/** Nothing is asked of the world outside, and nothing is drawn by a process of its own. */
const args = ['--no-sandbox', '--disable-dev-shm-usage', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'];

/** Starts the browser of the tests: the one that CHROMIUM names, or one that is here. */
export function launch(): Promise<Browser> {
  const executablePath = process.env['CHROMIUM'] ?? known.find((path) => existsSync(path)) ?? '/usr/bin/chromium';
  return chromium.launch({ executablePath, args });
}
