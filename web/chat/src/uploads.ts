import type { Client, Draft } from '@ackbox/client';
import { createContext, useContext, useSyncExternalStore } from 'react';
import { prepare } from './media';
import { codeOf, Refused } from './problem';

/** Files that wait or are under way at once; more are refused. */
export const mostFiles = 20;
/** The type that claims nothing: what is of no type that the server takes is sent as it, to be saved and never shown. */
const anyBytes = 'application/octet-stream';

/** A file on its way into a conversation. */
export interface FileOnItsWay {
  readonly key: number;
  readonly place: string;
  readonly name: string;
  readonly size: number;
  /** 0 to 1; null before it begins. */
  readonly done: number | null;
  readonly smaller: boolean;
  readonly error: unknown;
}

interface Job {
  readonly key: number;
  readonly place: string;
  readonly file: File;
  readonly to: Pick<Draft, 'to' | 'conversation' | 'replyTo'>;
  ended: AbortController;
}

/** Uploads files one after the other and sends each; they go on while other conversations are looked at. */
export class Uploads {
  readonly #client: Client;
  readonly #jobs: Job[] = [];
  readonly #listeners = new Set<() => void>();
  #shown: readonly FileOnItsWay[] = [];
  #running = false;
  #keys = 0;
  #limit: number | null = null;

  constructor(client: Client) {
    this.#client = client;
    client.on('session', (session) => {
      if (!session) for (const { key } of [...this.#jobs]) this.cancel(key);
    });
    window.addEventListener('beforeunload', (event) => {
      if (this.#shown.some(({ error }) => error === null)) event.preventDefault();
    });
  }

  readonly subscribe = (fn: () => void): (() => void) => {
    this.#listeners.add(fn);
    return () => this.#listeners.delete(fn);
  };

  readonly get = (): readonly FileOnItsWay[] => this.#shown;

  /** Bytes that a file may have; null where the server cannot be asked. */
  async limit(): Promise<number | null> {
    if (this.#limit === null) {
      const { data } = await this.#client.rest.GET('/v1/files/limits').catch(() => ({ data: undefined }));
      this.#limit = data?.max_bytes ?? null;
    }
    return this.#limit;
  }

  /** Sends files; answers false if there are too many already. */
  add(place: string, to: Job['to'], files: readonly File[]): boolean {
    if (this.#jobs.length + files.length > mostFiles) return false;
    for (const file of files) {
      const job: Job = { key: ++this.#keys, place, file, to, ended: new AbortController() };
      this.#jobs.push(job);
      this.#show([...this.#shown, { key: job.key, place, name: file.name, size: file.size, done: null, smaller: false, error: null }]);
    }
    void this.#run();
    return true;
  }

  /** Ends an upload, or forgets a failed one. */
  cancel(key: number): void {
    const at = this.#jobs.findIndex((job) => job.key === key);
    const [job] = at < 0 ? [] : this.#jobs.splice(at, 1);
    job?.ended.abort();
    this.#show(this.#shown.filter((file) => file.key !== key));
  }

  /** Tries a failed one again. */
  again(key: number): void {
    const job = this.#jobs.find((other) => other.key === key);
    if (!job) return;
    job.ended = new AbortController();
    this.#patch(key, { error: null, done: null });
    void this.#run();
  }

  async #run(): Promise<void> {
    if (this.#running) return;
    this.#running = true;
    for (;;) {
      const job = this.#jobs.find(({ key }) => this.#shown.some((file) => file.key === key && file.error === null));
      if (!job) break;
      try {
        await this.#send(job);
        this.cancel(job.key);
      } catch (error) {
        this.#patch(job.key, { error });
      }
    }
    this.#running = false;
  }

  async #send({ key, file, to, ended }: Job): Promise<void> {
    const prepared = await prepare(file);
    ended.signal.throwIfAborted();
    const limit = await this.limit();
    if (limit !== null && prepared.file.size > limit) throw new Refused('file_too_large');
    this.#patch(key, { done: 0, size: prepared.file.size, smaller: prepared.smaller });
    const upload = (type: string) =>
      this.#client.upload(prepared.file, { name: prepared.name, type, signal: ended.signal, onProgress: (sent, size) => this.#patch(key, { done: sent / size }) });
    const stored = await upload(prepared.file.type || anyBytes).catch((error: unknown) => {
      if (codeOf(error) !== 'file_refused') throw error;
      return upload(anyBytes);
    });
    ended.signal.throwIfAborted();
    const type = stored.type === anyBytes ? 'file' : prepared.type;
    await this.#client.send({ ...to, type, body: { ...stored, ...prepared.about } });
  }

  #patch(key: number, change: Partial<FileOnItsWay>): void {
    this.#show(this.#shown.map((file) => (file.key === key ? { ...file, ...change } : file)));
  }

  #show(shown: readonly FileOnItsWay[]): void {
    this.#shown = shown;
    for (const listener of this.#listeners) listener();
  }
}

const Context = createContext<Uploads | null>(null);

export const UploadsProvider = Context.Provider;

export function useUploads(): Uploads {
  const uploads = useContext(Context);
  if (!uploads) throw new Error('outside of UploadsProvider');
  return uploads;
}

export function useFilesOnTheirWay(): readonly FileOnItsWay[] {
  const uploads = useUploads();
  return useSyncExternalStore(uploads.subscribe, uploads.get);
}
