import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';

/** Waits until something is so; fails after two minutes. Looks every 10 ms. */
export async function until(what: string, is: () => boolean | Promise<boolean>): Promise<void> {
  const end = Date.now() + 120_000;
  while (!(await is())) {
    if (Date.now() > end) throw new Error(`did not happen in two minutes: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** A port of this machine that nobody uses. */
export async function freePort(): Promise<number> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}

let built: string | null = null;

/** The binary of the tests' caller, or one that is built here. */
function binary(): string {
  const given = process.env['ACKBOX_TEST_BINARY'];
  if (given) return given;
  const path = join(import.meta.dirname, '..', 'ackbox');
  if (!built) {
    execFileSync('go', ['build', '-buildvcs=false', '-o', path, '.'], { cwd: join(import.meta.dirname, '../../../..'), stdio: 'inherit' });
    built = path;
  }
  return path;
}

/** A program that can be killed and started again, on the same port. */
class Program {
  readonly port: number;
  #child: ChildProcess | null = null;
  readonly #command: () => [file: string, args: string[], env: Record<string, string>, cwd: string];
  readonly #ready: () => Promise<boolean>;
  output = '';

  constructor(port: number, command: () => [string, string[], Record<string, string>, string], ready: () => Promise<boolean>) {
    this.port = port;
    this.#command = command;
    this.#ready = ready;
  }

  async start(): Promise<void> {
    const [file, args, env, cwd] = this.#command();
    const clean = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('ACKBOX_')));
    const child = spawn(file, args, { env: { ...clean, ...env }, cwd, stdio: ['ignore', 'pipe', 'pipe'] });
    this.#child = child;
    this.output = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (chunk: Buffer) => {
        this.output = (this.output + chunk.toString()).slice(-20_000);
      });
    }
    await until(`${file} is ready`, async () => {
      if (child.exitCode !== null) throw new Error(`${file} ended with ${child.exitCode}:\n${this.output}`);
      return this.#ready();
    });
  }

  /** Ends it without warning. */
  kill(): Promise<void> {
    return this.#end('SIGKILL');
  }

  /** Asks it to end. */
  stop(): Promise<void> {
    return this.#end('SIGTERM');
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#child;
    this.#child = null;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const exit = once(child, 'exit');
    child.kill(signal);
    await exit;
  }
}

export interface RealServer extends Program {
  readonly url: string;
  readonly dir: string;
  /** Kills it, and removes its data. */
  end(): Promise<void>;
}

/** A real server with its own data. Its end() must be called. */
export async function startServer(env: Record<string, string> = {}): Promise<RealServer> {
  const port = await freePort();
  const dir = mkdtempSync(join(tmpdir(), 'ackbox-sdk-'));
  const url = `http://127.0.0.1:${port}`;
  const settings = { ACKBOX_HTTP_ADDR: `127.0.0.1:${port}`, ACKBOX_DATA_DIR: dir, ACKBOX_RATE_LIMIT: 'off', ACKBOX_PASSWORD_MEMORY_KIB: '64', ACKBOX_JWT_SECRET: 'a secret of the tests with 32 bytes', ...env };
  const ready = async () => {
    try {
      return (await fetch(`${url}/readyz`)).ok;
    } catch {
      return false;
    }
  };
  const program = new Program(port, () => [binary(), [], settings, dir], ready);
  const end = async () => {
    await program.kill();
    rmSync(dir, { recursive: true, force: true });
  };
  const server = Object.assign(program, { url, dir, end });
  try {
    await server.start();
  } catch (error) {
    await end();
    throw error;
  }
  return server;
}

/** A real server with its own data; it ends with the test. */
export async function realServer(t: TestContext, env: Record<string, string> = {}): Promise<RealServer> {
  const server = await startServer(env);
  t.after(() => server.end());
  return server;
}

/** A Redis of the test's own. */
export async function realRedis(t: TestContext): Promise<Program & { readonly url: string }> {
  const port = await freePort();
  const dir = mkdtempSync(join(tmpdir(), 'ackbox-redis-'));
  const args = ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no', '--dir', dir];
  const redis: Program & { readonly url: string } = Object.assign(
    new Program(
      port,
      () => ['redis-server', args, {}, dir],
      () => Promise.resolve(redis.output.includes('Ready to accept connections')),
    ),
    { url: `redis://127.0.0.1:${port}` },
  );
  t.after(async () => {
    await redis.kill();
    if (existsSync(dir)) rmSync(dir, { recursive: true, force: true });
  });
  await redis.start();
  return redis;
}
