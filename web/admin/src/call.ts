import { session } from './session';

/** A value of a query; null and '' are left out. */
export type Query = Readonly<Record<string, string | number | boolean | null | undefined>>;

/** Thrown when a call was refused. */
export class Refused extends Error {
  readonly code: string;
  readonly status: number;

  constructor(code: string, status: number) {
    super(code || String(status));
    this.code = code;
    this.status = status;
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

function codeOf(problem: unknown): string {
  return typeof problem === 'object' && problem !== null && 'code' in problem && typeof problem.code === 'string' ? problem.code : '';
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
  const problem: unknown = await answer.json().catch(() => null);
  const code = codeOf(problem);
  if (answer.status === 401 && code !== 'invalid_credentials') session.end();
  throw new Refused(code, answer.status);
}
