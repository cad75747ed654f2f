import type { Message } from '@ackbox/client';
import { Button } from '@mantine/core';
import { useEffect, useState } from 'react';
import { useClient } from './client';
import { useText } from './language';
import { codeOf, errorText, Refused } from './problem';

const shown = new Set(['image/jpeg', 'image/png', 'image/gif', 'image/webp']);
/** Larger images are not loaded by themselves, in bytes. */
const mostImage = 8 << 20;
/** What an image of unknown size gets, and the most that any gets, in CSS pixels. */
const widest = 280;
const highest = 320;

interface Props {
  readonly type: 'image' | 'file' | 'audio' | 'video';
  readonly body: Message['body'];
}

/** An uploaded file: an image is shown, anything else can be saved. Nothing of it is ever a page of ours. */
export function Attachment({ type, body }: Props) {
  const text = useText();
  const id = typeof body['file_id'] === 'string' && /^[0-9]{1,19}$/.test(body['file_id']) ? body['file_id'] : null;
  const name = typeof body['name'] === 'string' && body['name'] ? body['name'] : text.types[type];
  const size = typeof body['size'] === 'number' ? body['size'] : 0;
  if (!id) return <Elsewhere name={name} url={body['url']} />;
  if (type === 'image' && size <= mostImage) return <Picture id={id} name={name} width={body['width']} height={body['height']} />;
  return <Save id={id} name={name} size={size} />;
}

/** A file that is not on this server: never loaded by the page. */
function Elsewhere({ name, url }: { name: string; url: unknown }) {
  const found = typeof url === 'string' && URL.canParse(url) ? new URL(url) : null;
  if (found?.protocol !== 'https:' && found?.protocol !== 'http:') return <span className="text">{name}</span>;
  return (
    <a className="text" href={found.href} target="_blank" rel="noopener noreferrer nofollow">
      {name}
    </a>
  );
}

function useFile(): (id: string, signal?: AbortSignal) => Promise<Blob> {
  const client = useClient();
  return async (id, signal) => {
    const answer = await client.fetch(`/v1/files/${id}`, signal ? { signal } : undefined);
    if (!answer.ok) throw new Refused(codeOf(await answer.json().catch(() => null)));
    return answer.blob();
  };
}

function Picture({ id, name, width, height }: { id: string; name: string; width: unknown; height: unknown }) {
  const text = useText();
  const load = useFile();
  const [url, setURL] = useState<string | null>(null);
  const [error, setError] = useState('');
  useEffect(() => {
    const gone = new AbortController();
    let made: string | null = null;
    load(id, gone.signal).then(
      (blob) => {
        if (gone.signal.aborted) return;
        if (!shown.has(blob.type)) throw new Refused('');
        made = URL.createObjectURL(blob);
        setURL(made);
      },
    ).catch((failure: unknown) => {
      if (!gone.signal.aborted) setError(errorText(text, failure));
    });
    return () => {
      gone.abort();
      if (made) URL.revokeObjectURL(made);
    };
    // load is made anew at each draw, and does the same.
  }, [id, text]);
  // The place is kept before the image is there, so nothing jumps.
  const [w, h] = fit(width, height);
  return (
    <span className="picture" style={{ width: w, height: h }}>
      {url ? <img src={url} alt={name} width={w} height={h} /> : <span className="dim">{error || text.loading}</span>}
    </span>
  );
}

function fit(width: unknown, height: unknown): [number, number] {
  if (typeof width !== 'number' || typeof height !== 'number' || width < 1 || height < 1) return [widest, widest];
  const scale = Math.min(1, widest / width, highest / height);
  return [Math.max(48, Math.round(width * scale)), Math.max(48, Math.round(height * scale))];
}

function Save({ id, name, size }: { id: string; name: string; size: number }) {
  const text = useText();
  const load = useFile();
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState('');

  async function save(): Promise<void> {
    setBusy(true);
    setError('');
    try {
      const url = URL.createObjectURL(await load(id));
      const link = document.createElement('a');
      link.href = url;
      link.download = name;
      link.click();
      URL.revokeObjectURL(url);
    } catch (failure) {
      setError(errorText(text, failure));
    } finally {
      setBusy(false);
    }
  }

  return (
    <span className="file">
      <span className="text">{name}</span>
      <span className="dim">{sizeOf(size)}</span>
      <Button size="compact-sm" variant="light" loading={busy} onClick={() => void save()}>
        {text.download}
      </Button>
      {error ? (
        <span className="error" role="alert">
          {error}
        </span>
      ) : null}
    </span>
  );
}

function sizeOf(bytes: number): string {
  if (bytes < 1024) return `${bytes} B`;
  const mega = bytes >= 1 << 20;
  return mega ? `${(bytes / (1 << 20)).toFixed(1)} MiB` : `${Math.ceil(bytes / 1024)} KiB`;
}
