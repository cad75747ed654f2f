import { Button } from '@mantine/core';
import { useState } from 'react';
import { useClient } from './client';
import { useText } from './language';
import { sizeOf } from './media';
import { codeOf, errorText, Refused } from './problem';

/** A file that is saved when somebody wants it, and never shown. */
export function Save({ id, name, size }: { id: string; name: string; size: number }) {
  const client = useClient();
  const text = useText();
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState('');

  async function save(): Promise<void> {
    setBusy(true);
    setError('');
    try {
      const answer = await client.fetch(`/v1/files/${id}`);
      if (!answer.ok) throw new Refused(codeOf(await answer.json().catch(() => null)));
      const url = URL.createObjectURL(await answer.blob());
      saveAs(url, name);
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

/** Saves what is at a blob: address. */
export function saveAs(url: string, name: string): void {
  const link = document.createElement('a');
  link.href = url;
  link.download = name;
  link.click();
}
