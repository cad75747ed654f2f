import { session } from './session';

/** A value of a query; null and '' are left out. */
export type Query = Readonly<Record<string, string | number | boolean | null | undefined>>;

/** Thrown when a call was refused. */
export class Refused extends Error {
  readonly code: string;
  readonly status: number;
  /** What the server says about it, in English. */
  readonly detail: string;

  constructor(status: number, problem: unknown) {
    const code = textOf(problem, 'code');
    super(code || String(status));
    this.code = code;
    this.status = status;
    this.detail = textOf(problem, 'detail');
  }
}

interface Request {
  readonly query?: Query | undefined;
  readonly body?: unknown;
  readonly signal?: AbortSignal | undefined;
}

function address(path: string, query: Query = {}): string {
  const words = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value !== null && value !== undefined && value !== '') words.set(name, String(value));
  }
  return words.size > 0 ? `${path}?${words}` : path;
}

function textOf(problem: unknown, name: 'code' | 'detail'): string {
  if (typeof problem !== 'object' || problem === null || !(name in problem)) return '';
  const value = (problem as Readonly<Record<string, unknown>>)[name];
  return typeof value === 'string' ? value : '';
}

/** Calls the admin API with the session's cookie. Throws Refused for an error answer and TypeError for none; a 401 ends the session. */
export async function call<T>(method: string, path: string, { query, body, signal }: Request = {}): Promise<T> {
  const answer = await fetch(address(path, query), {
    method,
    credentials: 'same-origin',
    cache: 'no-store',
    ...(body === undefined ? {} : { headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) }),
    ...(signal ? { signal } : {}),
  });
  if (answer.ok) return (answer.status === 204 ? undefined : await answer.json()) as T;
  const refused = new Refused(answer.status, await answer.json().catch(() => null));
  if (refused.status === 401 && refused.code !== 'invalid_credentials') session.end();
  throw refused;
}
