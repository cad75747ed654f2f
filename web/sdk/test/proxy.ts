import { once } from 'node:events';
import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import type { TestContext } from 'node:test';

/** What happens to a frame on its way to the client. */
export type Fate = 'pass' | 'drop' | 'twice';
/** What happens to a call: it passes; it never reaches the server; or its answer is lost. */
export type CallFate = 'pass' | 'lost' | 'unanswered';

/** A bad network between a client and a server. It can also serve pages of its own, under /test/. */
export class Proxy {
  url = '';
  frame: (frame: { type: string }) => Fate = () => 'pass';
  call: (method: string, path: string) => CallFate = () => 'pass';
  readonly pages = new Map<string, { type: string; body: string | Buffer }>();
  /** Calls that have come, as `METHOD /path`. */
  readonly calls: string[] = [];
  readonly #server: Server;
  readonly #target: () => number;
  readonly #sockets = new Set<Socket>();
  #down = false;

  constructor(target: () => number) {
    this.#target = target;
    this.#server = createServer((from, to) => this.#forward(from, to));
    this.#server.on('connection', (socket: Socket) => this.#opened(socket));
    this.#server.on('upgrade', (from, socket: Socket, head) => this.#upgrade(from, socket, head));
  }

  async start(): Promise<void> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    this.url = `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Cuts everything, and with `down` lets nothing through until up(). */
  cut(down = false): void {
    this.#down = down;
    for (const socket of this.#sockets) socket.destroy();
  }

  up(): void {
    this.#down = false;
  }

  async stop(): Promise<void> {
    const closed = once(this.#server, 'close');
    this.#server.close();
    this.cut(true);
    await closed;
  }

  #opened(socket: Socket): void {
    if (this.#down) {
      socket.destroy();
      return;
    }
    this.#sockets.add(socket);
    socket.on('error', () => socket.destroy());
    socket.on('close', () => this.#sockets.delete(socket));
  }

  #forward(from: IncomingMessage, to: ServerResponse): void {
    const path = (from.url ?? '/').split('?')[0] ?? '/';
    const page = this.pages.get(path);
    if (page) {
      to.writeHead(200, { 'Content-Type': page.type }).end(page.body);
      return;
    }
    this.calls.push(`${from.method} ${path}`);
    const fate = this.call(from.method ?? '', path);
    if (fate === 'lost') {
      from.socket.destroy();
      return;
    }
    const on = request({ host: '127.0.0.1', port: this.#target(), method: from.method, path: from.url, headers: from.headers, agent: false }, (answer) => {
      if (fate === 'unanswered') {
        answer.resume();
        answer.on('end', () => from.socket.destroy());
        return;
      }
      to.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(to);
      answer.on('error', () => from.socket.destroy());
    });
    on.on('error', () => from.socket.destroy());
    from.pipe(on);
  }

  #upgrade(from: IncomingMessage, socket: Socket, head: Buffer): void {
    const on = connect(this.#target(), '127.0.0.1');
    const gone = () => {
      on.destroy();
      socket.destroy();
    };
    for (const end of [on, socket]) end.on('error', gone).on('close', gone);
    const headers: string[] = [];
    for (let i = 0; i < from.rawHeaders.length; i += 2) {
      // Without compression frames can be read.
      if (from.rawHeaders[i]?.toLowerCase() !== 'sec-websocket-extensions') headers.push(`${from.rawHeaders[i]}: ${from.rawHeaders[i + 1]}`);
    }
    on.write(`${from.method} ${from.url} HTTP/1.1\r\n${headers.join('\r\n')}\r\n\r\n`);
    on.write(head);
    socket.pipe(on);
    let waiting: Buffer = Buffer.alloc(0);
    let upgraded = false;
    on.on('data', (chunk: Buffer) => {
      waiting = Buffer.concat([waiting, chunk]);
      if (!upgraded) {
        const end = waiting.indexOf('\r\n\r\n');
        if (end < 0) return;
        socket.write(waiting.subarray(0, end + 4));
        waiting = waiting.subarray(end + 4);
        upgraded = true;
      }
      for (let frame = cutFrame(waiting); frame; frame = cutFrame(waiting)) {
        waiting = waiting.subarray(frame.whole.length);
        const fate = frame.text === null ? 'pass' : this.frame(JSON.parse(frame.text) as { type: string });
        if (fate !== 'drop') socket.write(frame.whole);
        if (fate === 'twice') socket.write(frame.whole);
      }
    });
  }
}

/** The first whole frame of a server's bytes; text is null for what is no text frame. */
function cutFrame(bytes: Buffer): { whole: Buffer; text: string | null } | null {
  if (bytes.length < 2) return null;
  const short = (bytes[1] as number) & 0x7f;
  const start = short === 126 ? 4 : short === 127 ? 10 : 2;
  if (bytes.length < start) return null;
  const length = short === 126 ? bytes.readUInt16BE(2) : short === 127 ? Number(bytes.readBigUInt64BE(2)) : short;
  if (bytes.length < start + length) return null;
  const text = ((bytes[0] as number) & 0x0f) === 1 ? bytes.subarray(start, start + length).toString() : null;
  return { whole: bytes.subarray(0, start + length), text };
}

/** A proxy before a server; it ends with the test. */
export async function proxyTo(t: TestContext, server: { port: number }): Promise<Proxy> {
  const proxy = new Proxy(() => server.port);
  await proxy.start();
  t.after(() => proxy.stop());
  return proxy;
}
