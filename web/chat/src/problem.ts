import { ApiError, NotSentError, type SendError } from '@ackbox/client';
import type { Text } from './language';

/** An answer of client.rest. */
interface Answer<T> {
  readonly data?: T;
  readonly response: Response;
  readonly error?: unknown;
}

/** Thrown when a call was refused. */
export class Refused extends Error {
  readonly code: string;

  constructor(code: string) {
    super(code);
    this.code = code;
  }
}

/** The data of an answer; throws Refused for an error answer. */
export async function answered<T>(call: Promise<Answer<T>>): Promise<T> {
  const { data, error, response } = await call;
  if (!response.ok) throw new Refused(codeOf(error));
  return data as T;
}

export function codeOf(problem: unknown): string {
  return typeof problem === 'object' && problem !== null && 'code' in problem && typeof problem.code === 'string' ? problem.code : '';
}

/** A failure in words for people. */
export function errorText(text: Text, error: unknown): string {
  if (error instanceof ApiError) return error.status === 0 ? text.errors.noAnswer : ofCode(text, error.code ?? '');
  if (error instanceof NotSentError) return sendErrorText(text, error.reason);
  if (error instanceof Refused) return ofCode(text, error.code);
  if (error instanceof TypeError) return text.errors.noAnswer; // fetch was not answered
  return text.errors.other;
}

export function sendErrorText(text: Text, error: SendError): string {
  return error.code === 'no_answer' || error.code === 'interrupted' ? text.errors.noAnswer : ofCode(text, error.code);
}

function ofCode(text: Text, code: string): string {
  switch (code) {
    case 'invalid_credentials':
      return text.errors.credentials;
    case 'username_taken':
      return text.errors.taken;
    case 'validation_failed':
      return text.errors.invalid;
    case 'recall_too_late':
      return text.errors.tooLate;
    case 'forbidden':
      return text.errors.forbidden;
    case 'not_found':
      return text.errors.notFound;
    case 'blocked':
    case 'not_accepting':
      return text.errors.blocked;
    case 'muted':
      return text.errors.muted;
    case 'rate_limited':
      return text.errors.tooMany;
    case 'file_too_large':
    case 'body_too_large':
      return text.errors.tooLarge;
    case 'file_refused':
      return text.errors.refusedFile;
    case 'quota_exceeded':
      return text.errors.quota;
    case 'unavailable':
    case 'unknown_outcome':
    case 'draining':
      return text.errors.noAnswer;
    default:
      return text.errors.other;
  }
}
