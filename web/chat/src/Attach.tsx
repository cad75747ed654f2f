import type { Draft, SendType } from '@ackbox/client';
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
      const answer = await client.fetch(`/v1/files?name=${encodeURIComponent(file.name.slice(-200))}`, {
        method: 'POST',
        headers: { 'Content-Type': file.type || 'application/octet-stream' },
        body: file,
      });
      const body: unknown = await answer.json().catch(() => null);
      if (!answer.ok) throw new Refused(codeOf(body));
      if (typeof body !== 'object' || body === null || !('type' in body)) throw new Refused('');
      onSend({ type: typeOf(String(body.type)), body: { ...body } });
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

function typeOf(media: string): SendType {
  const kind = media.split('/')[0];
  if (kind === 'image' && media !== 'image/svg+xml') return 'image';
  return kind === 'audio' || kind === 'video' ? kind : 'file';
}
