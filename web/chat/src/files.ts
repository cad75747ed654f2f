import type { Client } from '@ackbox/client';
import { createContext, useContext, useEffect, useState } from 'react';
import { codeOf, Refused } from './problem';

/** Bytes of files that nobody looks at, and that are kept for the next look. */
const mostIdle = 32 << 20;

/** A file that was read: a blob: address of the page's own. */
export interface ReadFile {
  readonly url: string;
  /** The media type as the server says it, which is not what the message says. */
  readonly type: string;
}

interface Held {
  readonly promise: Promise<ReadFile>;
  readonly ended: AbortController;
  file: (ReadFile & { readonly size: number }) | null;
  holders: number;
}

/** Files of the server, read once for all who show them at a time. */
export class Files {
  readonly #client: Client;
  /** Those that nobody holds are the longest unused first. */
  readonly #held = new Map<string, Held>();

  constructor(client: Client) {
    this.#client = client;
    // What one may see is not what the next one may.
    client.on('session', (session) => {
      if (!session) this.#trim(0);
    });
  }

  /** Reads a file, and keeps it until release is called. */
  hold(id: string): { file: Promise<ReadFile>; release: () => void } {
    let held = this.#held.get(id);
    if (held) this.#held.delete(id);
    else held = this.#begin(id);
    this.#held.set(id, held);
    const mine = held;
    mine.holders++;
    return { file: mine.promise, release: () => this.#release(id, mine) };
  }

  #begin(id: string): Held {
    const ended = new AbortController();
    const held: Held = { promise: this.#read(id, ended.signal), ended, file: null, holders: 0 };
    held.promise.then(
      (file) => {
        held.file = file as Held['file'];
      },
      () => {
        if (this.#held.get(id) === held) this.#held.delete(id); // read again at the next look
      },
    );
    return held;
  }

  async #read(id: string, signal: AbortSignal): Promise<ReadFile & { size: number }> {
    const answer = await this.#client.fetch(`/v1/files/${id}`, { signal });
    if (!answer.ok) throw new Refused(codeOf(await answer.json().catch(() => null)));
    const blob = await answer.blob();
    return { url: URL.createObjectURL(blob), type: blob.type, size: blob.size };
  }

  #release(id: string, held: Held): void {
    held.holders--;
    if (held.holders > 0) return;
    if (!held.file) {
      held.ended.abort();
      if (this.#held.get(id) === held) this.#held.delete(id);
    }
    this.#trim(mostIdle);
  }

  #trim(most: number): void {
    const idle = [...this.#held].filter(([, { holders, file }]) => holders === 0 && file);
    let bytes = idle.reduce((sum, [, { file }]) => sum + (file?.size ?? 0), 0);
    for (const [id, { file }] of idle) {
      if (bytes <= most) return;
      bytes -= file?.size ?? 0;
      if (file) URL.revokeObjectURL(file.url);
      this.#held.delete(id);
    }
  }
}

const Context = createContext<Files | null>(null);

export const FilesProvider = Context.Provider;

/** A file for as long as it is shown; without an id there is none. */
export function useFile(id: string | null): { file: ReadFile | null; error: unknown } {
  const files = useContext(Context);
  if (!files) throw new Error('outside of FilesProvider');
  const [state, setState] = useState<{ id: string | null; file: ReadFile | null; error: unknown }>({ id: null, file: null, error: null });
  useEffect(() => {
    if (!id) return;
    let gone = false;
    const { file, release } = files.hold(id);
    file.then(
      (found) => {
        if (!gone) setState({ id, file: found, error: null });
      },
      (error: unknown) => {
        if (!gone) setState({ id, file: null, error });
      },
    );
    return () => {
      gone = true;
      release();
    };
  }, [files, id]);
  return state.id === id ? state : { file: null, error: null };
}

/** The id in the address of a file of this server; null of any other address. */
export function fileOf(url: string): string | null {
  return /^\/v1\/files\/([1-9][0-9]{0,18})$/.exec(url)?.[1] ?? null;
}
