import type { Upload } from './api.js';
import type { UploadedFile } from './object.js';
import { apiError, asApiError } from './problem.js';
import type { SessionKeeper } from './session.js';

/** One request with the file; its answer, whatever it is. Rejects without one. */
type Carrier = (url: string, file: Blob, headers: Record<string, string>, options: Upload) => Promise<Response>;

/** Uploads a file. Throws ApiError, or the signal's reason when it was aborted. */
export async function upload(base: string, session: SessionKeeper, carry: Carrier, file: Blob, options: Upload): Promise<UploadedFile> {
  const url = `${base}/v1/files?name=${encodeURIComponent(options.name)}`;
  const media = options.type ?? (file.type || 'application/octet-stream');
  const once = async () => {
    const token = await session.token();
    options.signal?.throwIfAborted();
    return { token, answer: await carry(url, file, { Authorization: `Bearer ${token}`, 'Content-Type': media }, options) };
  };
  let response: Response;
  try {
    const { token, answer } = await once();
    response = answer;
    if (answer.status === 401) {
      await session.refresh(token);
      response = (await once()).answer;
    }
  } catch (error) {
    options.signal?.throwIfAborted();
    throw asApiError(error);
  }
  const body: unknown = await response.json().catch(() => null);
  if (!response.ok) throw apiError(response, body);
  return body as UploadedFile;
}

/** By fetch, which tells nothing of its progress before the end. */
export function byFetch(fetch: typeof globalThis.fetch): Carrier {
  return async (url, file, headers, { onProgress, signal }) => {
    const answer = await fetch(url, { method: 'POST', headers, body: file, ...(signal ? { signal } : {}) });
    onProgress?.(file.size, file.size);
    return answer;
  };
}

/** By XMLHttpRequest, the only way of a browser to tell how far an upload is. */
export const byRequest: Carrier = (url, file, headers, { onProgress, signal }) =>
  new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    const abort = () => request.abort();
    request.upload.onprogress = ({ loaded }) => onProgress?.(Math.min(loaded, file.size), file.size);
    request.onload = () => {
      const after = request.getResponseHeader('Retry-After');
      resolve(new Response(request.responseText, { status: request.status, headers: after === null ? {} : { 'Retry-After': after } }));
    };
    request.onerror = () => reject(new TypeError('the upload was not answered'));
    request.onabort = () => reject(signal?.reason ?? new TypeError('the upload was broken off'));
    request.onloadend = () => signal?.removeEventListener('abort', abort);
    request.open('POST', url);
    for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
    signal?.addEventListener('abort', abort, { once: true });
    request.send(file);
  });
