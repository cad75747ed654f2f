import type { Problem } from './object.js';

/** A stable, machine-readable error code of the server. */
export type ErrorCode = Problem['code'];

/** An error answer of the server, or (`code` null, `status` 0) no answer at all. */
export class ApiError extends Error {
  override readonly name = 'ApiError';
  /** null when there was no answer, or one that is not the server's. */
  readonly code: ErrorCode | null;
  /** The HTTP status; 0 when there was no answer. */
  readonly status: number;
  /** The whole problem document, with `errors` of single fields; null as code. */
  readonly problem: Problem | null;
  /** The server's Retry-After in ms; null if it gave none. */
  readonly retryAfter: number | null;

  constructor(status: number, problem: Problem | null, retryAfter: number | null, cause?: unknown) {
    super(problem?.detail || problem?.title || (status ? `answer ${status}` : 'no answer'), { cause });
    this.status = status;
    this.problem = problem;
    this.code = problem?.code ?? null;
    this.retryAfter = retryAfter;
  }
}

/** Why a message is not sent. It can be kept and passed between tabs. */
export interface SendError {
  /** The server's code; `no_answer` if none came in time (it may have been sent); `interrupted` if the page went away; `lost` if the server had it and lost it; `signed_out`; `discarded`; `unknown` if the outbox does not have it. */
  readonly code: ErrorCode | 'no_answer' | 'interrupted' | 'lost' | 'signed_out' | 'discarded' | 'unknown';
  /** 0 without an answer. */
  readonly status: number;
  /** For people who look for the cause; not translated. */
  readonly detail: string;
  /** Sending it again, as it is, can help. */
  readonly retryable: boolean;
}

/** Thrown when a message is not sent. */
export class NotSentError extends Error {
  override readonly name = 'NotSentError';
  readonly reason: SendError;

  constructor(reason: SendError) {
    super(`not sent: ${reason.detail}`);
    this.reason = reason;
  }
}

/** Reads the error of an answer that is no success. */
export function apiError(response: Response, body: unknown): ApiError {
  return new ApiError(response.status, isProblem(body) ? body : null, retryAfter(response));
}

/** Any failure of a call as an ApiError. */
export function asApiError(error: unknown): ApiError {
  return error instanceof ApiError ? error : new ApiError(0, null, null, error);
}

function isProblem(body: unknown): body is Problem {
  return typeof body === 'object' && body !== null && 'code' in body && typeof body.code === 'string';
}

/** Retry-After in ms; the server gives seconds. */
function retryAfter(response: Response): number | null {
  const seconds = Number(response.headers.get('Retry-After') ?? 'none');
  return Number.isFinite(seconds) && seconds >= 0 ? seconds * 1000 : null;
}
