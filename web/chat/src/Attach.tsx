import type { Client, Draft, SendType } from '@ackbox/client';
import { ActionIcon } from '@mantine/core';
import { useRef, useState } from 'react';
import { useClient } from './client';
import { ClipIcon } from './icons';
import { useText } from './language';
import { codeOf, errorText, Refused } from './problem';

/** Uploads a file, and sends it. */
export function Attach({ onSend, onError }: { onSend: (content: Pick<Draft, 'type' | 'body'>) => void; onError: (words: string) => void }) {
  const client = useClient();
  const text = useText();
  const input = useRef<HTMLInputElement>(null);
  const [busy, setBusy] = useState(false);

  async function upload(file: File): Promise<void> {
    onError('');
    setBusy(true);
    try {
      onSend(await uploaded(client, file));
    } catch (failure) {
      onError(errorText(text, failure));
    } finally {
      setBusy(false);
    }
  }

  return (
    <>
      <input
        ref={input}
        type="file"
        hidden
        aria-label={text.attach}
        onChange={(event) => {
          const file = event.currentTarget.files?.[0];
          event.currentTarget.value = '';
          if (file) void upload(file);
        }}
      />
      <ActionIcon variant="subtle" size="xl" loading={busy} aria-label={busy ? text.uploading : text.attach} onClick={() => input.current?.click()}>
        <ClipIcon />
      </ActionIcon>
    </>
  );
}

/** The type that claims nothing: what is of no type that the server takes is sent as it, to be saved and never shown. */
const anyBytes = 'application/octet-stream';

async function uploaded(client: Client, file: File, media = file.type || anyBytes): Promise<Pick<Draft, 'type' | 'body'>> {
  const answer = await client.fetch(`/v1/files?name=${encodeURIComponent(file.name.slice(-200))}`, {
    method: 'POST',
    headers: { 'Content-Type': media },
    body: file,
  });
  const body: unknown = await answer.json().catch(() => null);
  if (answer.ok && typeof body === 'object' && body !== null && 'type' in body) return { type: typeOf(String(body.type)), body: { ...body } };
  const code = codeOf(body);
  if (code === 'file_refused' && media !== anyBytes) return uploaded(client, file, anyBytes);
  throw new Refused(code);
}

function typeOf(media: string): SendType {
  const kind = media.split('/')[0];
  if (kind === 'image' && media !== 'image/svg+xml') return 'image';
  return kind === 'audio' || kind === 'video' ? kind : 'file';
}
